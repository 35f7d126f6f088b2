package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Namespace is the collection that documents come from, on the source.
type Namespace struct {
	Database, Collection string
}

// Verdict is what becomes of a document.
type Verdict byte

const (
	Keep Verdict = iota
	Drop
	Replace
)

// Fault is a case of `config-fault` in wit/describe.wit.
type Fault byte

const (
	UnknownField Fault = iota
	MissingField
	InvalidValue
	InvalidRegex
	NotSupported
)

// ConfigError refuses a configuration. Path names the field, as in `rules[1].pattern`, and is empty for the
// configuration as a whole; Reason is a sentence for the operator.
type ConfigError struct {
	Fault        Fault
	Path, Reason string
}

func (e *ConfigError) Error() string { return e.Path + ": " + e.Reason }

// DocumentError refuses a document, with a sentence for the operator that never quotes it.
type DocumentError string

func (e DocumentError) Error() string { return string(e) }

// fieldsOf reads the fields of a configuration. All are required, and no others are allowed.
func fieldsOf(config string, names ...string) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(config), &fields); err != nil || fields == nil {
		return nil, &ConfigError{InvalidValue, "", "a configuration is a JSON object"}
	}
	unknown := ""
	for name := range fields {
		// The order of a map differs from run to run; the answer may not.
		if !slices.Contains(names, name) && (unknown == "" || name < unknown) {
			unknown = name
		}
	}
	if unknown != "" {
		reason := "there is no such field; known are " + strings.Join(names, ", ")
		return nil, &ConfigError{UnknownField, unknown, reason}
	}
	for _, name := range names {
		if _, ok := fields[name]; !ok {
			return nil, &ConfigError{MissingField, "", fmt.Sprintf("the field `%s` is missing", name)}
		}
	}
	return fields, nil
}
