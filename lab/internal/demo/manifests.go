package demo

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed manifests/*.yaml
var manifests embed.FS

// imageName stands in the manifests for the image that the lab has built and pushed.
const imageName = "image: hawser-demo-app\n"

// Namespaces are the namespaces of the demonstration.
func Namespaces() []string { return []string{"shop", "bank"} }

// Manifests returns the objects of all namespaces as YAML documents, with the image given.
func Manifests(image string) ([]byte, error) {
	var all []string
	for _, namespace := range Namespaces() {
		text, err := manifests.ReadFile("manifests/" + namespace + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
		all = append(all, strings.ReplaceAll(string(text), imageName, "image: "+image+"\n"))
	}
	return []byte(strings.Join(all, "---\n")), nil
}
