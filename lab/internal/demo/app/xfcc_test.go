package app

import "testing"

func TestParseXFCC(t *testing.T) {
	for _, tt := range []struct {
		name, header string
		want         peer
	}{
		{name: "none", header: ""},
		{
			name:   "istio",
			header: `By=spiffe://cluster.local/ns/shop/sa/ratings;Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;Subject="";URI=spiffe://cluster.local/ns/shop/sa/catalog`,
			want:   peer{caller: "spiffe://cluster.local/ns/shop/sa/catalog", self: "spiffe://cluster.local/ns/shop/sa/ratings"},
		},
		{
			name:   "nearest-proxy-is-last",
			header: `By=spiffe://td/ns/a/sa/a;URI=spiffe://td/ns/far/sa/far,By=spiffe://td/ns/b/sa/b;URI=spiffe://td/ns/near/sa/near`,
			want:   peer{caller: "spiffe://td/ns/near/sa/near", self: "spiffe://td/ns/b/sa/b"},
		},
		{
			name:   "quoted-separators",
			header: `Subject="CN=a;URI=spiffe://evil,O=\"x,y\"";URI=spiffe://td/ns/a/sa/a`,
			want:   peer{caller: "spiffe://td/ns/a/sa/a"},
		},
		{name: "keys-of-any-case", header: `by=spiffe://td/b;uri=spiffe://td/a`, want: peer{caller: "spiffe://td/a", self: "spiffe://td/b"}},
		{name: "unended-quote", header: `URI="spiffe://td/a`, want: peer{caller: "spiffe://td/a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseXFCC(tt.header); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
