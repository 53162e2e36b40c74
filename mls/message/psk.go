package message

import "webmls/mls/wire"

// PreSharedKeyID is RFC 9420, Section 8.4.
type PreSharedKeyID struct {
	Type    PSKType
	ID      []byte             // PSKExternal
	Usage   ResumptionPSKUsage // PSKResumption
	GroupID []byte             // PSKResumption
	Epoch   uint64             // PSKResumption
	Nonce   []byte             // KDF.Nh bytes
}

func (id *PreSharedKeyID) marshalKey(w *wire.Writer) {
	w.Uint8(uint8(id.Type))
	switch id.Type {
	case PSKExternal:
		w.Opaque(id.ID)
	case PSKResumption:
		w.Uint8(uint8(id.Usage))
		w.Opaque(id.GroupID)
		w.Uint64(id.Epoch)
	}
}

// Marshal implements wire.Marshaler.
func (id *PreSharedKeyID) Marshal(w *wire.Writer) {
	id.marshalKey(w)
	w.Opaque(id.Nonce)
}

// Unmarshal implements wire.Unmarshaler.
func (id *PreSharedKeyID) Unmarshal(r *wire.Reader) {
	id.Type = PSKType(r.Uint8())
	switch id.Type {
	case PSKExternal:
		id.ID = r.Opaque()
	case PSKResumption:
		id.Usage = ResumptionPSKUsage(r.Uint8())
		if id.Usage < ResumptionApplication || id.Usage > ResumptionBranch {
			r.Malformed("resumption PSK usage")
		}
		id.GroupID = r.Opaque()
		id.Epoch = r.Uint64()
	default:
		r.Malformed("PSK type")
	}
	id.Nonce = r.Opaque()
}

// Key returns what names the key itself: the encoding without the nonce. Two
// proposals for one key differ in the nonce only.
func (id *PreSharedKeyID) Key() string {
	var w wire.Writer
	id.marshalKey(&w)
	return string(w.Bytes())
}

func marshalPSKs(w *wire.Writer, list []PreSharedKeyID) {
	w.Vector(func(w *wire.Writer) {
		for i := range list {
			list[i].Marshal(w)
		}
	})
}

func unmarshalPSKs(r *wire.Reader) (list []PreSharedKeyID) {
	r.Vector(func(r *wire.Reader) {
		var id PreSharedKeyID
		id.Unmarshal(r)
		list = append(list, id)
	})
	return list
}
