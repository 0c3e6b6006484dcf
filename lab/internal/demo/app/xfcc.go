package app

import "strings"

// peer is what a proxy tells about a connection in X-Forwarded-Client-Cert.
type peer struct {
	// caller is the SPIFFE ID of the client, self that of the server as the client's proxy authenticated it.
	caller, self string
}

// parseXFCC reads the last element of the header, which the nearest proxy added, as Envoy's documentation of the HTTP
// connection manager describes it: elements by comma, pairs by semicolon, values in double quotes where they need it.
func parseXFCC(header string) peer {
	elements := splitUnquoted(header, ',')
	var p peer
	for _, pair := range splitUnquoted(elements[len(elements)-1], ';') {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		value = strings.Trim(value, `"`)
		switch {
		case strings.EqualFold(key, "URI"):
			p.caller = value
		case strings.EqualFold(key, "By"):
			p.self = value
		}
	}
	return p
}

// splitUnquoted splits at a separator outside of double quotes; a backslash keeps a quote from ending them.
func splitUnquoted(text string, separator byte) []string {
	var parts []string
	quoted, start := false, 0
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quoted:
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == separator && !quoted:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}
