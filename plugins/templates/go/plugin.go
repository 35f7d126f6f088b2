// {{name}}: keeps the documents whose `field` has any of `values`, drops the others.
//
//	{"field": "status", "values": ["active", 7]}
//
// This file is the plugin: change it. component.go connects it to the host.
package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

const (
	name    = "{{name}}"
	version = "0.1.0"
	// Raise this when the same document gets a different answer on purpose.
	semantics = 1
)

//go:embed schema.json
var configSchema string

// Plugin is a configured instance. The same document always gets the same answer.
type Plugin struct {
	field    string
	strings  map[string]bool
	integers map[int64]bool
}

// Configure reads the configuration, as the operator writes it.
func Configure(config string) (*Plugin, error) {
	fields, err := fieldsOf(config, "field", "values")
	if err != nil {
		return nil, err
	}
	plugin := &Plugin{strings: map[string]bool{}, integers: map[int64]bool{}}
	if json.Unmarshal(fields["field"], &plugin.field) != nil || plugin.field == "" || strings.Contains(plugin.field, "\x00") {
		return nil, &ConfigError{InvalidValue, "field", "it is not the name of a field"}
	}
	var values []json.RawMessage
	if json.Unmarshal(fields["values"], &values) != nil || len(values) == 0 {
		return nil, &ConfigError{InvalidValue, "values", "it is not a list of one value or more"}
	}
	for position, value := range values {
		var text *string
		var integer *int64
		switch {
		case json.Unmarshal(value, &text) == nil && text != nil:
			plugin.strings[*text] = true
		case json.Unmarshal(value, &integer) == nil && integer != nil:
			plugin.integers[*integer] = true
		default:
			path := fmt.Sprintf("values[%d]", position)
			return nil, &ConfigError{InvalidValue, path, "it is neither a string nor an integer"}
		}
	}
	return plugin, nil
}

// Transform decides about a document, given as raw BSON: Keep, Drop, or Replace with the bytes of the document to
// write in its place, which has the same `_id`.
func (p *Plugin) Transform(namespace Namespace, document []byte) (Verdict, []byte, error) {
	found, err := Find(document, p.field)
	if err != nil {
		return Drop, nil, err
	}
	if text, ok := found.Text(); ok && p.strings[string(text)] {
		return Keep, nil, nil
	}
	if integer, ok := found.Integer(); ok && p.integers[integer] {
		return Keep, nil, nil
	}
	return Drop, nil, nil
}
