// Runs natively, without any WebAssembly: go test
package main

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

type element struct {
	kind  byte
	name  string
	value []byte
}

// document is a BSON document of these fields.
func document(elements ...element) []byte {
	body := make([]byte, 4)
	for _, element := range elements {
		body = append(append(append(append(body, element.kind), element.name...), 0), element.value...)
	}
	body = append(body, 0)
	binary.LittleEndian.PutUint32(body, uint32(len(body)))
	return body
}

func int32s(value int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(value)) }
func int64s(value int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(value)) }
func text(text string) []byte   { return append(append(int32s(int32(len(text)+1)), text...), 0) }

// status is a document with a `status`, after fields with every kind of length.
func status(kind byte, value []byte) []byte {
	return document(
		element{ObjectID, "_id", make([]byte, 12)},
		element{regex, "regex", []byte("^a\x00i\x00")},
		element{Binary, "binary", append(int32s(3), 0, 'a', 'b', 'c')},
		element{Embedded, "nested", document(element{Int32, "status", int32s(1)})},
		element{kind, "status", value},
	)
}

func decide(t *testing.T, document []byte) Verdict {
	t.Helper()
	plugin, err := Configure(`{"field": "status", "values": ["active", "é", 7]}`)
	if err != nil {
		t.Fatal(err)
	}
	verdict, _, err := plugin.Transform(Namespace{"shop", "orders"}, document)
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}

func TestKeepsWhatHasOneOfTheValues(t *testing.T) {
	seven := int64s(int64(math.Float64bits(7)))
	for _, document := range [][]byte{
		status(String, text("active")), status(String, text("é")),
		status(Int32, int32s(7)), status(Int64, int64s(7)), status(Double, seven),
	} {
		if decide(t, document) != Keep {
			t.Errorf("%q is not kept", document)
		}
	}
}

func TestDropsTheOthers(t *testing.T) {
	for _, document := range [][]byte{
		status(String, text("gone")), status(String, text("7")), status(Int32, int32s(1)),
		status(Null, nil), status(Boolean, []byte{1}), document(element{Int32, "_id", int32s(1)}),
	} {
		if decide(t, document) != Drop {
			t.Errorf("%q is not dropped", document)
		}
	}
}

func TestWhatIsNoBsonIsSaidToBeNone(t *testing.T) {
	whole := status(String, text("active"))
	for end := range len(whole) {
		if _, err := Find(whole[:end], "status"); !errors.Is(err, ErrMalformed) {
			t.Errorf("the first %d bytes: %v", end, err)
		}
	}
	if _, err := Find(document(element{0x7E, "x", nil}), "x"); !errors.Is(err, ErrMalformed) {
		t.Errorf("an unknown type: %v", err)
	}
}

func TestAWrongConfigurationIsRefusedByPath(t *testing.T) {
	for _, wrong := range []struct {
		config string
		fault  Fault
		path   string
	}{
		{`[]`, InvalidValue, ""},
		{`{"field": "a"}`, MissingField, ""},
		{`{"field": "a", "values": [1], "more": 1}`, UnknownField, "more"},
		{`{"field": 1, "values": [1]}`, InvalidValue, "field"},
		{`{"field": "a", "values": []}`, InvalidValue, "values"},
		{`{"field": "a", "values": ["a", true]}`, InvalidValue, "values[1]"},
		{`{"field": "a", "values": [null]}`, InvalidValue, "values[0]"},
	} {
		_, err := Configure(wrong.config)
		var refused *ConfigError
		if !errors.As(err, &refused) || refused.Fault != wrong.fault || refused.Path != wrong.path {
			t.Errorf("%s: %v", wrong.config, err)
		}
	}
}
