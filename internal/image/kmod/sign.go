package kmod

import (
	"bytes"
	"encoding/binary"
)

// signatureMagic ends a signed module; before it stand the signature and 12 bytes that tell its length
// (Documentation/admin-guide/module-signing, struct module_signature).
var signatureMagic = []byte("~Module signature appended~\n")

const signatureInfo = 12

// Unsign gives a module without its signature. The kernel hashes a signed module to check it, at some hundred
// instructions a byte where the processor has none for hashing: two thirds of the time that a guest needs to its root.
// Without one it loads the module just the same, unless told to enforce signatures, and notes that it did ("taints"
// itself). Only the modules of the initrd are treated so: what the guest loads from its disk stays signed.
func Unsign(data []byte) []byte {
	body, ok := bytes.CutSuffix(data, signatureMagic)
	if !ok || len(body) < signatureInfo {
		return data
	}
	size := binary.BigEndian.Uint32(body[len(body)-4:])
	body = body[:len(body)-signatureInfo]
	if uint64(size) > uint64(len(body)) {
		return data
	}
	return body[:len(body)-int(size)]
}
