// Package proto is the gRPC protocol mls_client of mlswg/mls-implementations.
// It owns mls_client.proto; the other files are generated from it by
//
//	go generate ./proto
//
// in the folder of this module, with the versions that its go.mod pins. It must
// not know how a client does what it is asked to.
package proto

//go:generate go run ./generate .
