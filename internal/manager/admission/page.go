package admission

import (
	"fmt"
	"strconv"
	"strings"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// ConfigMapName is the ConfigMap, in the manager's namespace, that holds the book.
const ConfigMapName = "hawser-admissions"

// keyBook has the book's name; each other key is a term, with the value "PLACE LAST RETURNED,RETURNED".
const keyBook = "book"

// read makes a book of a ConfigMap. One that somebody has edited so that it cannot be read is an error: to go on with what can be read would be to
// take machines for forgotten that are not.
func read(configMap *core.ConfigMap) (book, error) {
	b := book{name: configMap.Data[keyBook], terms: map[string]term{}}
	if b.name == "" {
		return book{}, broken(configMap, keyBook)
	}
	for name, text := range configMap.Data {
		if name == keyBook {
			continue
		}
		t, err := readTerm(text)
		if err != nil {
			return book{}, broken(configMap, name)
		}
		b.terms[name] = t
	}
	return b, nil
}

func broken(configMap *core.ConfigMap, key string) error {
	return fmt.Errorf("the ConfigMap %s/%s is not as the manager writes it (key %s): put it back from a backup, or delete it, which makes all machines "+
		"that a restore has forgotten count as deleted", configMap.Namespace, configMap.Name, key)
}

func readTerm(text string) (term, error) {
	fields := strings.Split(text, " ")
	if len(fields) != 3 {
		return term{}, fmt.Errorf("%d fields", len(fields))
	}
	place, err := strconv.Atoi(fields[0])
	if err != nil {
		return term{}, err
	}
	last, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return term{}, err
	}
	t := term{place: place, last: last}
	for number := range strings.SplitSeq(fields[2], ",") {
		if number == "" {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return term{}, err
		}
		t.returned = append(t.returned, n)
	}
	return t, nil
}

// write puts the book into a ConfigMap.
func (b book) write(configMap *core.ConfigMap) {
	configMap.Data = map[string]string{keyBook: b.name}
	for name, t := range b.terms {
		returned := make([]string, len(t.returned))
		for i, number := range t.returned {
			returned[i] = strconv.FormatInt(number, 10)
		}
		configMap.Data[name] = fmt.Sprintf("%d %d %s", t.place, t.last, strings.Join(returned, ","))
	}
}

func newPage(b book) *core.ConfigMap {
	configMap := &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: ConfigMapName, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}}}
	b.write(configMap)
	return configMap
}
