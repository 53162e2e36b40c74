// Package scenario plays random histories of a group (RFC 9420) between many
// clients over a model delivery service, and asserts after every epoch that
// nobody diverged. The tests are in the _test files; nothing here is linked into
// the module.
package scenario
