package publish_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/refusal"
)

func TestReadArtifact(t *testing.T) {
	w := newWorld(t)
	w.file = make([]byte, 1<<20+12345)
	random := rand.NewChaCha8([32]byte{})
	if _, err := random.Read(w.file); err != nil {
		t.Fatal(err)
	}
	client := w.join("vm-1", time.Hour)
	size := int64(len(w.file))
	for name, offset := range map[string]int64{"all": 0, "rest": 300000, "last-byte": size - 1, "nothing": size} {
		t.Run(name, func(t *testing.T) {
			got, largest, err := w.read(client, "f11e", offset)
			if err != nil || !bytes.Equal(got, w.file[offset:]) || largest > 256<<10 {
				t.Errorf("read %d bytes in pieces of up to %d: %v", len(got), largest, err)
			}
		})
	}
	for name, c := range map[string]struct {
		sha256 string
		offset int64
		want   refusal.Reason
	}{
		"unknown":  {"0000", 0, refusal.ArtifactUnknown},
		"path":     {"../../etc/passwd", 0, refusal.ArtifactUnknown},
		"negative": {"f11e", -1, refusal.RequestInvalid},
		"beyond":   {"f11e", size + 1, refusal.RequestInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := w.read(client, c.sha256, c.offset)
			w.refused(t, "ReadArtifact", err, c.want)
		})
	}
}

func (w *world) read(client hawserv1.MachineServiceClient, sha256 string, offset int64) (all []byte, largest int, err error) {
	stream, err := client.ReadArtifact(w.context(), &hawserv1.ReadArtifactRequest{Sha256: sha256, Offset: offset})
	for err == nil {
		var response *hawserv1.ReadArtifactResponse
		if response, err = stream.Recv(); err == nil {
			all = append(all, response.GetData()...)
			largest = max(largest, len(response.GetData()))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, largest, err
}
