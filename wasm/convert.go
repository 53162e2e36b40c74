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
	// together is that of the job: see there.
	together string
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

// typeOf is the type of a value, and that of undefined for a BigInt, which
// syscall/js panics on.
func typeOf(v js.Value) (t js.Type) {
	defer func() {
		if recover() != nil {
			t = js.TypeUndefined
		}
	}()
	return v.Type()
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
	if typeOf(v) != js.TypeString {
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
	if typeOf(v) == js.TypeNumber {
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
	if typeOf(v) != js.TypeBoolean {
		in.fail(name, "a boolean")
		return false
	}
	return v.Bool()
}

// hostObject reads an object whose methods are to be called.
func (in *args) hostObject(name string) js.Value {
	v, _ := in.property(name)
	if typeOf(v) != js.TypeObject {
		in.fail(name, "an object")
	}
	return v
}

// optionalDecimal reads a string of an integer of 64 bits; 0 when the property is not there.
func (in *args) optionalDecimal(name string) uint64 {
	if _, ok := in.property(name); !ok {
		return 0
	}
	n, ok := decimal(in.text(name))
	if !ok {
		in.fail(name, "an integer of 64 bits, in decimal")
	}
	return n
}

// decimal reads an integer of 64 bits. (strconv.ParseUint links the quoting of
// strings, for its errors.)
func decimal(s string) (n uint64, ok bool) {
	for i := range len(s) {
		digit := uint64(s[i]) - '0'
		if digit > 9 || n > (1<<64-1-digit)/10 {
			return 0, false
		}
		n = 10*n + digit
	}
	return n, s != ""
}

// The functions below read an object of an interface of js/src/bridge.ts, or an
// array of such: the interface that contract.go has for their names.

// inside reads the properties of one object that stands at a name.
func (in *args) inside(name string, v js.Value, read func(in *args)) {
	if typeOf(v) != js.TypeObject {
		in.fail(name, "an object")
		return
	}
	inner := &args{object: v}
	read(inner)
	if inner.err != nil && in.err == nil {
		in.err = mlserr.New(mlserr.InvalidArgument, name+"."+inner.err.Detail)
	}
}

// insideEach is inside for each element of an array, when the property is there:
// then it calls begin with their number.
func (in *args) insideEach(name string, begin func(n int), read func(i int, in *args)) {
	v, ok := in.property(name)
	if !ok {
		return
	}
	n := in.length(name, v)
	begin(n)
	for i := range n {
		in.inside(name+"["+strconv.Itoa(i)+"]", v.Index(i), func(in *args) { read(i, in) })
	}
}

// optionalValue reads an object; nil when the property is not there.
func optionalValue[T any](in *args, name string, read func(in *args) T) (result *T) {
	if v, ok := in.property(name); ok {
		in.inside(name, v, func(in *args) {
			value := read(in)
			result = &value
		})
	}
	return result
}

// values reads an array of objects; nil when the property is not there.
func values[T any](in *args, name string, read func(in *args) T) (list []T) {
	in.insideEach(name, func(n int) { list = make([]T, n) }, func(i int, in *args) { list[i] = read(in) })
	return list
}

// credential reads a CredentialValue.
func (in *args) credential(name string) (credential message.Credential) {
	v, _ := in.property(name)
	in.inside(name, v, func(in *args) {
		credential = message.Credential{
			Type: message.CredentialType(in.number("type")), Identity: in.optionalBytes("identity"),
			Certificates: in.bytesList("certificates"), Data: in.optionalBytes("data"),
		}
	})
	return credential
}

// extensions reads an array of ExtensionValue; nil when the property is not there.
func (in *args) extensions(name string) message.Extensions {
	return values(in, name, func(in *args) message.Extension {
		return message.Extension{Type: message.ExtensionType(in.number("type")), Data: in.bytes("data")}
	})
}

// readPSK reads the properties of a PskValue: an external key by its id, else
// the resumption key of an epoch (RFC 9420, Sections 8.4 and 8.6).
func readPSK(in *args) message.PreSharedKeyID {
	id, group, epoch := in.optionalBytes("id"), in.optionalBytes("group"), in.optionalDecimal("epoch")
	if id != nil {
		return message.PreSharedKeyID{Type: message.PSKExternal, ID: id}
	}
	if group == nil {
		in.fail("id", "an id or a group")
	}
	return message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: group, Epoch: epoch}
}

// psk reads a PskValue; nil when the property is not there.
func (in *args) psk(name string) *message.PreSharedKeyID { return optionalValue(in, name, readPSK) }

// psks reads an array of PskValue.
func (in *args) psks(name string) []message.PreSharedKeyID { return values(in, name, readPSK) }

// reInit reads a ReInitValue; nil when the property is not there.
func (in *args) reInit(name string) *message.ReInit {
	return optionalValue(in, name, func(in *args) message.ReInit {
		return message.ReInit{
			Version: message.MLS10, GroupID: in.bytes("group"), CipherSuite: suite.ID(in.number("suite")),
			Extensions: in.extensions("extensions"),
		}
	})
}

// readCustom reads the properties of a CustomValue.
func readCustom(in *args) message.Proposal {
	return message.Proposal{Type: message.ProposalType(in.number("type")), Custom: in.bytes("data")}
}

// custom reads a CustomValue; nil when the property is not there.
func (in *args) custom(name string) *message.Proposal { return optionalValue(in, name, readCustom) }

// customs reads an array of CustomValue.
func (in *args) customs(name string) []message.Proposal { return values(in, name, readCustom) }

// limits reads a LimitsValue; what is not in it has its default. (By
// optionalValue the type of the limits would be one of an interface, which links how
// a time.Duration is printed.)
func (in *args) limits(name string) (limits mls.Limits) {
	v, ok := in.property(name)
	if !ok {
		return limits
	}
	in.inside(name, v, func(in *args) {
		limits = mls.Limits{
			MaxMessage: count(in.optionalNumber("maxMessage")), MaxMembers: count(in.optionalNumber("maxMembers")),
			MaxProposals: count(in.optionalNumber("maxProposals")), MaxForward: uint32(count(in.optionalNumber("maxForward"))),
			MaxSkipped: count(in.optionalNumber("maxSkipped")), MaxPastEpochs: countOrNone(in.optionalNumber("pastEpochs")),
			MaxPastEpochAge: seconds(in.optionalNumber("pastEpochAge")), MaxResumptionPSKs: countOrNone(in.optionalNumber("resumptionPSKs")),
			MaxLifetime: seconds(in.optionalNumber("maxLifetime")), LifetimeSkew: seconds(in.optionalNumber("lifetimeSkew")),
			IgnoreReceivedLifetimes: in.flag("ignoreReceivedLifetimes"), PaddingBlock: countOrNone(in.optionalNumber("padding")),
		}
	})
	return limits
}

// supported reads a SupportedValue.
func (in *args) supported(name string) mls.Supported {
	supported := optionalValue(in, name, func(in *args) mls.Supported {
		return mls.Supported{
			Extensions:  codePoints[message.ExtensionType](in.numberList("extensions")),
			Proposals:   codePoints[message.ProposalType](in.numberList("proposals")),
			Credentials: codePoints[message.CredentialType](in.numberList("credentials")),
		}
	})
	if supported == nil {
		return mls.Supported{}
	}
	return *supported
}

// successor reads what ReInit and Branch have in common.
func (in *args) successor() mls.SuccessorOptions {
	return mls.SuccessorOptions{
		Identity: in.optionalBytes("identity"), NoRatchetTree: in.flag("noRatchetTree"), WithGroupInfo: in.flag("withGroupInfo"),
		LeafExtensions: in.extensions("leafExtensions"),
	}
}

// copyBytes copies a Uint8Array into a slice of the caller's own, never nil.
func copyBytes(v js.Value) []byte {
	b := make([]byte, v.Length())
	js.CopyBytesToGo(b, v)
	return b
}

// The functions below make the results that cross to JavaScript (pack.go). Each is
// named for an interface in js/src/bridge.ts and sets its properties; tests/contract
// compares the two.

// uint8ArrayOf is a new Uint8Array.
func uint8ArrayOf(b []byte) js.Value {
	v := uint8Array.New(len(b))
	js.CopyBytesToJS(v, b)
	return v
}

// bytesValue are bytes of a result. They are copied when it crosses.
func bytesValue(b []byte) any { return b }

// optionalBytes is bytesValue, or nil for nil.
func optionalBytes(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// epochValue is an epoch, or a time, in decimal: syscall/js panics on a BigInt, and a
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

// object is a value with properties. One that is nil is absent in JavaScript.
type object map[string]any

func (o object) value() any { return map[string]any(o) }

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
		"signatureKey": bytesValue(i.SignatureKey()), "keyStorage": string(i.KeyStorage()),
	}.value()
}

func memberValue(m mls.Member) any {
	return object{
		"leaf": int(m.Leaf), "credential": credentialValue(m.Credential), "signatureKey": bytesValue(m.SignatureKey), "own": m.Own,
	}.value()
}

func memberDetailsValue(m *mls.MemberDetails) any {
	o := object{
		"member": memberValue(m.Member), "encryptionKey": bytesValue(m.EncryptionKey), "versions": list(m.Capabilities.Versions, number),
		"suites": list(m.Capabilities.CipherSuites, number), "extensionTypes": list(m.Capabilities.Extensions, number),
		"proposalTypes": list(m.Capabilities.Proposals, number), "credentialTypes": list(m.Capabilities.Credentials, number),
		"extensions": list(m.Extensions, extensionValue),
	}
	if m.Lifetime != nil {
		o["notBefore"], o["notAfter"] = epochValue(m.Lifetime.NotBefore), epochValue(m.Lifetime.NotAfter)
	}
	return o.value()
}

func keyPackageValue(k mls.KeyPackageInfo) any {
	return object{
		"reference": bytesValue(k.Reference), "identity": bytesValue(k.Identity), "keyPackage": bytesValue(k.KeyPackage),
		"lastResort": k.LastResort, "notAfter": epochValue(k.NotAfter),
	}.value()
}

// number is a code point.
func number[T ~uint16](n T) int { return int(n) }

// optionalMember is a member, or nil.
func optionalMember(m *mls.Member) any {
	if m == nil {
		return nil
	}
	return memberValue(*m)
}

func infoValue(i mls.Info) any {
	return object{
		"group": bytesValue(i.GroupID), "status": string(i.Status), "epoch": epochValue(i.Epoch), "suite": int(i.CipherSuite),
		"ownLeaf": int(i.OwnLeaf), "memberCount": i.MemberCount, "epochAuthenticator": bytesValue(i.EpochAuthenticator),
		"treeHash": bytesValue(i.TreeHash), "extensions": list(i.Extensions, extensionValue),
		"hasPendingCommit": i.HasPendingCommit, "pendingProposals": i.PendingProposals, "reInit": optionalReInit(i.ReInit),
		"rolledBack": i.RolledBack,
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

func foundedValue(info any, commit *mls.CommitResult) any {
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
	o := object{
		"reference": bytesValue(p.Reference), "type": int(p.Proposal.Type), "sender": senderValue(p.Sender),
		"message": optionalBytes(p.Message),
	}
	switch p.Proposal.Type {
	case message.ProposalAdd:
		o["credential"] = credentialValue(p.Proposal.Add.LeafNode.Credential)
		o["signatureKey"] = bytesValue(p.Proposal.Add.LeafNode.SignatureKey)
	case message.ProposalUpdate:
		o["credential"] = credentialValue(p.Proposal.Update.Credential)
		o["signatureKey"] = bytesValue(p.Proposal.Update.SignatureKey)
	case message.ProposalRemove:
		o["leaf"] = int(p.Proposal.Remove)
	case message.ProposalPSK:
		o["psk"] = pskValue(*p.Proposal.PSK)
	case message.ProposalReInit:
		o["reInit"] = reInitValue(p.Proposal.ReInit)
	case message.ProposalGroupContextExtensions:
		o["extensions"] = list(p.Proposal.Extensions, extensionValue)
	case message.ProposalExternalInit:
	default:
		o["data"] = bytesValue(p.Proposal.Custom)
	}
	return o.value()
}

func pskValue(id message.PreSharedKeyID) any {
	o := object{}
	if id.Type == message.PSKExternal {
		o["id"] = bytesValue(id.ID)
	} else {
		o["group"], o["epoch"] = bytesValue(id.GroupID), epochValue(id.Epoch)
	}
	return o.value()
}

func customValue(p message.Proposal) any {
	return object{"type": int(p.Type), "data": bytesValue(p.Custom)}.value()
}

func updateValue(u *mls.UpdateInfo) any {
	return object{
		"own": u.Own, "external": u.External, "committer": optionalMember(u.Committer), "added": list(u.Added, memberValue),
		"removed": list(u.Removed, memberValue), "updated": list(u.Updated, memberValue),
		"extensionsChanged": u.ExtensionsChanged, "pskCount": u.PSKs, "custom": list(u.Custom, customValue),
		"reInit": optionalReInit(u.ReInit),
	}.value()
}

// optionalReInit is a ReInit, or nil.
func optionalReInit(r *message.ReInit) any {
	if r == nil {
		return nil
	}
	return reInitValue(r)
}

func reInitValue(r *message.ReInit) any {
	return object{
		"group": bytesValue(r.GroupID), "suite": int(r.CipherSuite), "extensions": list(r.Extensions, extensionValue),
	}.value()
}

func welcomeValue(w *mls.WelcomeInfo) any {
	return object{
		"group": bytesValue(w.GroupID), "epoch": epochValue(w.Epoch), "suite": int(w.CipherSuite), "identity": bytesValue(w.Identity),
		"extensions": list(w.Extensions, extensionValue), "psks": list(w.PSKs, pskValue), "hasTree": w.HasTree,
		"memberCount": w.MemberCount, "signer": optionalMember(w.Signer),
	}.value()
}

func eventValue(e *mls.Event) any {
	o := object{
		"type": string(e.Type), "group": bytesValue(e.GroupID), "epoch": epochValue(e.Epoch), "sender": optionalMember(e.Sender),
		"authenticatedData": bytesValue(e.AuthenticatedData),
	}
	if e.Type == mls.EventApplication {
		o["inboxId"], o["content"] = int(e.InboxID), bytesValue(e.Content)
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

func receivedValue(r mls.Received) any {
	o := object{}
	if r.Err != nil {
		o["error"] = errorValue(r.Err)
	} else {
		o["event"] = eventValue(r.Event)
	}
	return o.value()
}

func sentValue(s mls.Sent) any {
	o := object{}
	if s.Err != nil {
		o["error"] = errorValue(s.Err)
	} else {
		o["sealed"] = bytesValue(s.Sealed)
	}
	return o.value()
}

func headerValue(h message.Header) any {
	o := object{"wireFormat": int(h.WireFormat)}
	switch h.WireFormat {
	case message.WireFormatPublicMessage, message.WireFormatPrivateMessage:
		o["contentType"] = int(h.ContentType)
		if h.WireFormat == message.WireFormatPublicMessage {
			o["sender"] = int(h.Sender)
		}
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

// listed is a list of extensions that may not be given.
func listed(list message.Extensions) *message.Extensions {
	if list == nil {
		return nil
	}
	return &list
}

// sending reads how application data is sent.
func (in *args) sending() mls.SendOptions {
	return mls.SendOptions{AuthenticatedData: in.optionalBytes("authenticatedData"), PaddingBlock: countOrNone(in.optionalNumber("padding"))}
}

// codePoints turns numbers into code points of a registry.
func codePoints[T ~uint16](numbers []uint32) []T {
	out := make([]T, len(numbers))
	for i, n := range numbers {
		out[i] = T(n)
	}
	return out
}

// count is a number of mls.Limits, 0 when it is not given.
func count(n *uint32) int {
	if n == nil {
		return 0
	}
	return int(*n)
}

// countOrNone is count where 0 means none, which mls.Limits has as -1.
func countOrNone(n *uint32) int {
	if n != nil && *n == 0 {
		return -1
	}
	return count(n)
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
