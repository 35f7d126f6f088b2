package main

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Raw BSON, read in place. A walk trusts no length: it ends at the document's end, or with ErrMalformed.

// ErrMalformed is the error for bytes that are not a BSON document.
const ErrMalformed = DocumentError("it is not valid BSON")

// Types of values (bsonspec.org).
const (
	Double    = 0x01
	String    = 0x02
	Embedded  = 0x03
	Array     = 0x04
	Binary    = 0x05
	ObjectID  = 0x07
	Boolean   = 0x08
	Date      = 0x09
	Null      = 0x0A
	regex     = 0x0B
	codeScope = 0x0F
	Int32     = 0x10
	Int64     = 0x12
)

// Value is the type and the bytes of a value; the kind is 0 for a field that is not there.
type Value struct {
	Kind  byte
	Bytes []byte
}

// Text is the content of a string.
func (v Value) Text() ([]byte, bool) {
	if v.Kind != String {
		return nil, false
	}
	return v.Bytes[4 : len(v.Bytes)-1], true
}

// Integer is a number of any type that is an integer.
func (v Value) Integer() (int64, bool) {
	switch v.Kind {
	case Int32:
		return int64(int32(binary.LittleEndian.Uint32(v.Bytes))), true
	case Int64:
		return int64(binary.LittleEndian.Uint64(v.Bytes)), true
	case Double:
		number := math.Float64frombits(binary.LittleEndian.Uint64(v.Bytes))
		if number == math.Trunc(number) && number >= -(1<<63) && number < 1<<63 {
			return int64(number), true
		}
	}
	return 0, false
}

// Find is the value of a top-level field. It walks over the whole document, so malformed BSON is found wherever it is.
func Find(document []byte, name string) (Value, error) {
	var found Value
	err := Walk(document, func(field []byte, value Value) {
		if found.Kind == 0 && string(field) == name {
			found = value
		}
	})
	return found, err
}

// Walk visits the top-level fields.
func Walk(document []byte, visit func(name []byte, value Value)) error {
	if len(document) < 5 || int(binary.LittleEndian.Uint32(document)) != len(document) || document[len(document)-1] != 0 {
		return ErrMalformed
	}
	rest := document[4 : len(document)-1]
	for len(rest) > 0 {
		kind := rest[0]
		end := bytes.IndexByte(rest[1:], 0)
		if end < 0 {
			return ErrMalformed
		}
		name, value := rest[1:1+end], rest[2+end:]
		length, ok := lengthOf(kind, value)
		if !ok || length > len(value) {
			return ErrMalformed
		}
		visit(name, Value{kind, value[:length]})
		rest = value[length:]
	}
	return nil
}

// lengthOf is the size of a value in bytes.
func lengthOf(kind byte, value []byte) (int, bool) {
	switch kind {
	case 0x06, Null, 0x7F, 0xFF:
		return 0, true
	case Boolean:
		return 1, true
	case Int32:
		return 4, true
	case Double, Date, 0x11, Int64:
		return 8, true
	case ObjectID:
		return 12, true
	case 0x13:
		return 16, true
	case regex:
		pattern := bytes.IndexByte(value, 0)
		options := bytes.IndexByte(value[pattern+1:], 0)
		return pattern + options + 2, pattern >= 0 && options >= 0
	case String, 0x0D, 0x0E:
		return counted(value, 4, 1)
	case Embedded, Array:
		return counted(value, 0, 5)
	case Binary:
		return counted(value, 5, 0)
	case 0x0C:
		return counted(value, 16, 1)
	case codeScope:
		return counted(value, 0, 14)
	}
	return 0, false
}

// counted is the size of a value that begins with a length, which does not count `more` of its bytes.
func counted(value []byte, more, least int) (int, bool) {
	if len(value) < 4 {
		return 0, false
	}
	length := int(int32(binary.LittleEndian.Uint32(value)))
	if length < least {
		return 0, false
	}
	return length + more, true
}
