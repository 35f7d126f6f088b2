//go:build wasip1

// Connects plugin.go to the host: the exports of the world `transform-plugin`, as the canonical ABI of the component
// model lays out their values. Addresses have 32 bits here, and pointers of Go 64, so no record is a struct of Go.
//
// A panic ends the instance, and the host reports it.

package main

import (
	"encoding/binary"
	"unsafe"
)

var (
	configured *Plugin
	// What the host has allocated for the arguments of the next call.
	arguments [][]byte
	// The last answer: the host reads it until it calls again.
	answer [][]byte
)

//go:wasmexport cabi_realloc
func allocate(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	// Of eight bytes or more, which Go aligns to eight.
	bytes := make([]byte, max(size, 8))
	copy(bytes, unsafe.Slice((*byte)(old), oldSize))
	arguments = append(arguments, bytes)
	return unsafe.Pointer(&bytes[0])
}

//go:wasmexport tidegate:plugin/describe@1.0.0#describe
func describe() unsafe.Pointer {
	result := begin(32)
	result.text(0, name)
	result.text(8, version)
	result.number(16, semantics)
	result[20] = 0 // scope: document
	result.text(24, configSchema)
	return result.done()
}

//go:wasmexport tidegate:plugin/describe@1.0.0#configure
func configure(config unsafe.Pointer, length uint32) unsafe.Pointer {
	plugin, err := Configure(string(unsafe.Slice((*byte)(config), length)))
	result := begin(24)
	if err == nil {
		configured = plugin
		return result.done()
	}
	refusal, ok := err.(*ConfigError)
	if !ok {
		refusal = &ConfigError{InvalidValue, "", err.Error()}
	}
	result[0] = 1
	result[4] = byte(refusal.Fault)
	result.text(8, refusal.Path)
	result.text(16, refusal.Reason)
	return result.done()
}

//go:wasmexport tidegate:plugin/transform@1.0.0#transform
func transform(database unsafe.Pointer, databaseLength uint32, collection unsafe.Pointer, collectionLength uint32,
	documents unsafe.Pointer, documentsLength uint32) unsafe.Pointer {
	namespace := Namespace{
		string(unsafe.Slice((*byte)(database), databaseLength)),
		string(unsafe.Slice((*byte)(collection), collectionLength)),
	}
	batch := unsafe.Slice((*byte)(documents), documentsLength)
	var verdicts, replacements []byte
	for len(batch) > 0 {
		if len(batch) < 5 || uint64(binary.LittleEndian.Uint32(batch)) > uint64(len(batch)) {
			return refuse(len(verdicts), ErrMalformed)
		}
		document := batch[:binary.LittleEndian.Uint32(batch)]
		if len(document) < 5 {
			return refuse(len(verdicts), ErrMalformed)
		}
		verdict, replacement, err := configured.Transform(namespace, document)
		if err != nil {
			return refuse(len(verdicts), err)
		}
		verdicts = append(verdicts, byte(verdict))
		if verdict == Replace {
			replacements = append(replacements, replacement...)
		}
		batch = batch[len(document):]
	}
	result := begin(20)
	result.bytes(4, verdicts)
	result.bytes(12, replacements)
	return result.done()
}

// refuse answers that the document at this position is at fault.
func refuse(index int, err error) unsafe.Pointer {
	result := begin(20)
	result[0] = 1
	result.number(8, uint32(index))
	result.text(12, err.Error())
	return result.done()
}

// record is a record of the canonical ABI.
type record []byte

// begin makes a record. The host has read the answer before it.
func begin(size int) record {
	result := make(record, size)
	answer = [][]byte{result}
	return result
}

func (r record) number(at int, value uint32) { binary.LittleEndian.PutUint32(r[at:], value) }

func (r record) text(at int, text string) { r.bytes(at, []byte(text)) }

// bytes writes the address and the length of a list, which is kept until the next call.
func (r record) bytes(at int, bytes []byte) {
	answer = append(answer, bytes)
	r.number(at, uint32(uintptr(unsafe.Pointer(unsafe.SliceData(bytes)))))
	r.number(at+4, uint32(len(bytes)))
}

// done ends a call: nothing refers to its arguments any more.
func (r record) done() unsafe.Pointer {
	arguments = nil
	return unsafe.Pointer(&r[0])
}
