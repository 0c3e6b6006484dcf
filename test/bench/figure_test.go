package main

import (
	"math"
	"strings"
	"testing"
)

func TestFigures(t *testing.T) {
	none := []float64{}
	for name, c := range map[string]struct {
		values, baselines []float64
		want              string
	}{
		"odd": {
			[]float64{3, 1, 2}, []float64{8, 4, 6},
			`{"name":"x","value":2,"unit":"s","baseline":6,"ratio":0.333}` + "\n" +
				`{"name":"x.worst","value":3,"unit":"s","baseline":8,"ratio":0.375}` + "\n",
		},
		"even": {
			[]float64{1, 2}, []float64{0, 0},
			`{"name":"x","value":1.5,"unit":"s","baseline":0,"ratio":null}` + "\n" +
				`{"name":"x.worst","value":2,"unit":"s","baseline":0,"ratio":null}` + "\n",
		},
		"no-baseline": {
			[]float64{1.23456}, none,
			`{"name":"x","value":1.235,"unit":"s","baseline":null,"ratio":null}` + "\n" +
				`{"name":"x.worst","value":1.235,"unit":"s","baseline":null,"ratio":null}` + "\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := printFigures(&out, figures("x", "s", c.values, c.baselines)); err != nil {
				t.Fatal(err)
			}
			if out.String() != c.want {
				t.Errorf("got\n%swant\n%s", out.String(), c.want)
			}
		})
	}
	if !math.IsNaN(median(none)) || !math.IsNaN(worst(none)) {
		t.Error("nothing has a median or a worst")
	}
}
