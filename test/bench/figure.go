package main

import (
	"encoding/json"
	"io"
	"math"
	"slices"
)

// Figure is one measured value. Baseline is the same without Hawser, null if there is no such thing, and Ratio is
// Value/Baseline.
type Figure struct {
	Name     string   `json:"name"`
	Value    float64  `json:"value"`
	Unit     string   `json:"unit"`
	Baseline *float64 `json:"baseline"`
	Ratio    *float64 `json:"ratio"`
}

// figure compares two values; NaN is a baseline that does not exist.
func figure(name, unit string, value, baseline float64) Figure {
	f := Figure{Name: name, Value: rounded(value), Unit: unit}
	if math.IsNaN(baseline) {
		return f
	}
	base := rounded(baseline)
	f.Baseline = &base
	if baseline != 0 {
		ratio := rounded(value / baseline)
		f.Ratio = &ratio
	}
	return f
}

// figures compares several measurements of two ways: their medians, and their worst, which is the highest. More of anything that
// is measured here is worse.
func figures(name, unit string, values, baselines []float64) []Figure {
	return []Figure{
		figure(name, unit, median(values), median(baselines)),
		figure(name+".worst", unit, worst(values), worst(baselines)),
	}
}

// median of no values is NaN.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	switch {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return sorted[n/2]
	default:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
}

// worst of no values is NaN.
func worst(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return slices.Max(values)
}

// rounded keeps three decimals: milliseconds of seconds, kilobytes of megabytes.
func rounded(value float64) float64 { return math.Round(value*1000) / 1000 }

func printFigures(out io.Writer, figures []Figure) error {
	encoder := json.NewEncoder(out)
	for _, f := range figures {
		if err := encoder.Encode(f); err != nil {
			return err
		}
	}
	return nil
}
