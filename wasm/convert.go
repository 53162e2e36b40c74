//go:build js && wasm

package main

import (
	"strconv"
	"syscall/js"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

var uint8Array = js.Global().Get("Uint8Array")

// args reads the arguments of a call: the properties of one object. Each method
// of it reads one property; err is the first fault, and then what was read is
// not to be used. tests/contract compares the names and kinds that methods.go
// reads with the types in js/src/bridge.ts. Code: INVALID_ARGUMENT.
type args struct {
	object js.Value
	err    *mlserr.Error
}

func (in *args) fail(name, want string) {
	if in.err == nil {
		in.err = mlserr.New(mlserr.InvalidArgument, name+": want "+want)
	}
}

// property returns a property, and whether it is there.
func (in *args) property(name string) (js.Value, bool) {
	v := in.object.Get(name)
	return v, !v.IsUndefined() && !v.IsNull()
}

// bytes reads a Uint8Array into a slice of the caller's own.
func (in *args) bytes(name string) []byte {
	v, _ := in.property(name)
	if !v.InstanceOf(uint8Array) {
		in.fail(name, "a Uint8Array")
		return nil
	}
	return copyBytes(v)
}

// optionalBytes is bytes, or nil when the property is not there.
func (in *args) optionalBytes(name string) []byte {
	if _, ok := in.property(name); !ok {
		return nil
	}
	return in.bytes(name)
}

// bytesList reads an array of Uint8Array; nil when the property is not there.
func (in *args) bytesList(name string) [][]byte {
	v, ok := in.property(name)
	if !ok {
		return nil
	}
	list := make([][]byte, in.length(name, v))
	for i := range list {
		e := v.Index(i)
		if !e.InstanceOf(uint8Array) {
			in.fail(name+"["+strconv.Itoa(i)+"]", "a Uint8Array")
			return nil
		}
		list[i] = copyBytes(e)
	}
	return list
}

// length is that of an array, 0 for anything else.
func (in *args) length(name string, v js.Value) int {
	if !js.Global().Get("Array").Call("isArray", v).Bool() {
		in.fail(name, "an array")
		return 0
	}
	return v.Length()
}

// text reads a string.
func (in *args) text(name string) string {
	v, _ := in.property(name)
	if v.Type() != js.TypeString {
		in.fail(name, "a string")
		return ""
	}
	return v.String()
}

// number reads an integer from 0 to 2^32-1.
func (in *args) number(name string) uint32 {
	v, _ := in.property(name)
	return in.uint32(name, v)
}

// optionalNumber is number, or nil when the property is not there.
func (in *args) optionalNumber(name string) *uint32 {
	v, ok := in.property(name)
	if !ok {
		return nil
	}
	n := in.uint32(name, v)
	return &n
}

// numberList reads an array of numbers; nil when the property is not there.
func (in *args) numberList(name string) []uint32 {
	v, ok := in.property(name)
	if !ok {
		return nil
	}
	list := make([]uint32, in.length(name, v))
	for i := range list {
		list[i] = in.uint32(name, v.Index(i))
	}
	return list
}

// integerList reads an array of integers; nil when the property is not there.
func (in *args) integerList(name string) []uint64 {
	v, ok := in.property(name)
	if !ok {
		return nil
	}
	list := make([]uint64, in.length(name, v))
	for i := range list {
		list[i] = in.integer(name, v.Index(i), 1<<53-1)
	}
	return list
}

func (in *args) uint32(name string, v js.Value) uint32 { return uint32(in.integer(name, v, 1<<32-1)) }

// integer is a number without a fraction from 0 to most.
func (in *args) integer(name string, v js.Value, most uint64) uint64 {
	if v.Type() == js.TypeNumber {
		if f := v.Float(); f >= 0 && f <= float64(most) && f == float64(uint64(f)) {
			return uint64(f)
		}
	}
	in.fail(name, "an integer from 0 to "+strconv.FormatUint(most, 10))
	return 0
}

// flag reads a boolean; false when the property is not there.
func (in *args) flag(name string) bool {
	v, ok := in.property(name)
	if !ok {
		return false
	}
	if v.Type() != js.TypeBoolean {
		in.fail(name, "a boolean")
		return false
	}
	return v.Bool()
}

// hostObject reads an object whose methods are to be called.
func (in *args) hostObject(name string) js.Value {
	v, _ := in.property(name)
	if v.Type() != js.TypeObject {
		in.fail(name, "an object")
	}
	return v
}

// credential reads a CredentialValue.
func (in *args) credential(name string) message.Credential {
	v, ok := in.property(name)
	if !ok || v.Type() != js.TypeObject {
		in.fail(name, "a credential")
		return message.Credential{}
	}
	c := args{object: v}
	credential := message.Credential{
		Type:         message.CredentialType(c.number("type")),
		Identity:     c.optionalBytes("identity"),
		Certificates: c.bytesList("certificates"),
		Data:         c.optionalBytes("data"),
	}
	if c.err != nil {
		in.fail(name+"."+c.err.Detail, "a credential")
	}
	return credential
}

// extensions reads an array of ExtensionValue; nil when the property is not there.
func (in *args) extensions(name string) *message.Extensions {
	v, ok := in.property(name)
	if !ok {
		return nil
	}
	list := make(message.Extensions, in.length(name, v))
	for i := range list {
		e := args{object: v.Index(i)}
		if e.object.Type() != js.TypeObject {
			in.fail(name, "an array of extensions")
			return nil
		}
		list[i] = message.Extension{Type: message.ExtensionType(e.number("type")), Data: e.bytes("data")}
		if e.err != nil {
			in.fail(name+"["+strconv.Itoa(i)+"]."+e.err.Detail, "an extension")
		}
	}
	return &list
}

// copyBytes copies a Uint8Array into a slice of the caller's own, never nil.
func copyBytes(v js.Value) []byte {
	b := make([]byte, v.Length())
	js.CopyBytesToGo(b, v)
	return b
}

// The functions below make the values that cross to JavaScript. Each is named
// for an interface in js/src/bridge.ts and sets its properties; tests/contract
// compares the two.

// bytesValue is a new Uint8Array.
func bytesValue(b []byte) js.Value {
	v := uint8Array.New(len(b))
	js.CopyBytesToJS(v, b)
	return v
}

// optionalBytes is a new Uint8Array, or undefined for nil.
func optionalBytes(b []byte) js.Value {
	if b == nil {
		return js.Undefined()
	}
	return bytesValue(b)
}

// epochValue is an epoch in decimal: syscall/js panics on a BigInt, and a
// number is not exact above 2^53.
func epochValue(epoch uint64) string { return strconv.FormatUint(epoch, 10) }

// list makes an array of values.
func list[T any, V any](items []T, value func(T) V) []any {
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = value(item)
	}
	return out
}

// as makes the result of a step of what a call of package mls returned.
func as[T any, V any](value func(T) V) func(T, error) (any, error) {
	return func(result T, err error) (any, error) {
		if err != nil {
			return nil, err
		}
		return value(result), nil
	}
}

// asList is as for a list.
func asList[T any, V any](value func(T) V) func([]T, error) (any, error) {
	return as(func(items []T) []any { return list(items, value) })
}

// same is for what crosses as it is.
func same[T any](v T) T { return v }

// nothing is the result of a step that has none.
func nothing(err error) (any, error) { return nil, err }

// object is a value with properties. A property that is undefined is not set
// on it, so that it is absent in JavaScript too.
type object map[string]any

func (o object) value() any {
	for name, v := range o {
		switch v := v.(type) {
		case js.Value:
			if v.IsUndefined() {
				delete(o, name)
			}
		case nil:
			delete(o, name)
		}
	}
	return map[string]any(o)
}

func credentialValue(c message.Credential) any {
	o := object{"type": int(c.Type)}
	switch c.Type {
	case message.CredentialBasic:
		o["identity"] = bytesValue(c.Identity)
	case message.CredentialX509:
		o["certificates"] = list(c.Certificates, bytesValue)
	default:
		o["data"] = bytesValue(c.Data)
	}
	return o.value()
}

func extensionValue(e message.Extension) any {
	return object{"type": int(e.Type), "data": bytesValue(e.Data)}.value()
}

func identityValue(i *mls.Identity) any {
	return object{
		"id": bytesValue(i.ID()), "suite": int(i.Suite()), "credential": credentialValue(i.Credential()),
		"signatureKey": bytesValue(i.SignatureKey()),
	}.value()
}

func memberValue(m mls.Member) any {
	return object{
		"leaf": int(m.Leaf), "credential": credentialValue(m.Credential), "signatureKey": bytesValue(m.SignatureKey), "own": m.Own,
	}.value()
}

// optionalMember is a member, or nil.
func optionalMember(m *mls.Member) any {
	if m == nil {
		return nil
	}
	return memberValue(*m)
}

func claimValue(c mls.Claim) any {
	return object{
		"group": bytesValue(c.GroupID), "credential": credentialValue(c.Credential), "signatureKey": bytesValue(c.SignatureKey),
		"leaf": int(c.Leaf), "place": string(c.Place),
	}.value()
}

func infoValue(i mls.Info) any {
	return object{
		"group": bytesValue(i.GroupID), "status": string(i.Status), "epoch": epochValue(i.Epoch), "suite": int(i.CipherSuite),
		"ownLeaf": int(i.OwnLeaf), "memberCount": i.MemberCount, "epochAuthenticator": bytesValue(i.EpochAuthenticator),
		"treeHash": bytesValue(i.TreeHash), "extensions": list(i.Extensions, extensionValue),
		"hasPendingCommit": i.HasPendingCommit, "pendingProposals": i.PendingProposals,
	}.value()
}

func commitValue(c *mls.CommitResult) any {
	if c == nil {
		return nil
	}
	return object{
		"commit": bytesValue(c.Commit), "welcome": optionalBytes(c.Welcome), "groupInfo": optionalBytes(c.GroupInfo),
		"epoch": epochValue(c.Epoch),
	}.value()
}

func externalValue(info any, commit *mls.CommitResult) any {
	return object{"info": info, "commit": commitValue(commit)}.value()
}

func proposalResultValue(p *mls.ProposalResult) any {
	return object{"message": bytesValue(p.Message), "reference": bytesValue(p.Reference)}.value()
}

func senderValue(s message.Sender) any {
	o := object{"type": int(s.Type)}
	switch s.Type {
	case message.SenderMember:
		o["leaf"] = int(s.Leaf)
	case message.SenderExternal:
		o["index"] = int(s.Index)
	}
	return o.value()
}

func proposalValue(p mls.ProposalInfo) any {
	o := object{"reference": bytesValue(p.Reference), "type": int(p.Proposal.Type), "sender": senderValue(p.Sender)}
	switch p.Proposal.Type {
	case message.ProposalAdd:
		o["credential"] = credentialValue(p.Proposal.Add.LeafNode.Credential)
		o["signatureKey"] = bytesValue(p.Proposal.Add.LeafNode.SignatureKey)
	case message.ProposalUpdate:
		o["credential"] = credentialValue(p.Proposal.Update.Credential)
		o["signatureKey"] = bytesValue(p.Proposal.Update.SignatureKey)
	case message.ProposalRemove:
		o["leaf"] = int(p.Proposal.Remove)
	case message.ProposalGroupContextExtensions:
		o["extensions"] = list(p.Proposal.Extensions, extensionValue)
	}
	return o.value()
}

func updateValue(u *mls.UpdateInfo) any {
	o := object{
		"own": u.Own, "external": u.External, "committer": optionalMember(u.Committer), "added": list(u.Added, memberValue),
		"removed": list(u.Removed, memberValue), "updated": list(u.Updated, memberValue),
		"extensionsChanged": u.ExtensionsChanged, "pskCount": u.PSKs,
	}
	if u.ReInit != nil {
		o["reInit"] = reInitValue(u.ReInit)
	}
	return o.value()
}

func reInitValue(r *message.ReInit) any {
	return object{
		"group": bytesValue(r.GroupID), "suite": int(r.CipherSuite), "extensions": list(r.Extensions, extensionValue),
	}.value()
}

func eventValue(e *mls.Event) any {
	o := object{
		"type": string(e.Type), "group": bytesValue(e.GroupID), "epoch": epochValue(e.Epoch), "sender": optionalMember(e.Sender),
		"authenticatedData": bytesValue(e.AuthenticatedData),
	}
	if e.Type == mls.EventApplication {
		o["inboxId"], o["content"] = float64(e.InboxID), bytesValue(e.Content)
	}
	if e.Proposal != nil {
		o["proposal"] = proposalValue(*e.Proposal)
	}
	if e.Update != nil {
		o["update"] = updateValue(e.Update)
	}
	return o.value()
}

func inboxValue(e mls.InboxEntry) any { return eventValue(e.Event) }

func headerValue(h message.Header) any {
	o := object{"wireFormat": int(h.WireFormat)}
	switch h.WireFormat {
	case message.WireFormatPublicMessage, message.WireFormatPrivateMessage:
		o["contentType"] = int(h.ContentType)
		fallthrough
	case message.WireFormatGroupInfo:
		o["group"], o["epoch"] = bytesValue(h.GroupID), epochValue(h.Epoch)
	}
	return o.value()
}

// leaves turns numbers into leaf indices.
func leaves(numbers []uint32) []treemath.LeafIndex {
	out := make([]treemath.LeafIndex, len(numbers))
	for i, n := range numbers {
		out[i] = treemath.LeafIndex(n)
	}
	return out
}

// leaf is leaves for one that may not be given.
func leaf(number *uint32) *treemath.LeafIndex {
	if number == nil {
		return nil
	}
	i := treemath.LeafIndex(*number)
	return &i
}

// externalPSKs names external pre-shared keys.
func externalPSKs(ids [][]byte) []message.PreSharedKeyID {
	out := make([]message.PreSharedKeyID, len(ids))
	for i, id := range ids {
		out[i] = *externalPSK(id)
	}
	return out
}

// externalPSK is externalPSKs for one that may not be given.
func externalPSK(id []byte) *message.PreSharedKeyID {
	if id == nil {
		return nil
	}
	return &message.PreSharedKeyID{Type: message.PSKExternal, ID: id}
}

// orEmpty is a list of extensions, empty when it is not given.
func orEmpty(list *message.Extensions) message.Extensions {
	if list == nil {
		return nil
	}
	return *list
}

// seconds is a duration, 0 when it is not given.
func seconds(n *uint32) time.Duration {
	if n == nil {
		return 0
	}
	return time.Duration(*n) * time.Second
}

// suiteOr is a cipher suite, or the mandatory one (RFC 9420, Section 17.1) when it is not given.
func suiteOr(n *uint32) suite.ID {
	if n == nil {
		return suite.X25519AES128SHA256Ed25519
	}
	return suite.ID(*n)
}
