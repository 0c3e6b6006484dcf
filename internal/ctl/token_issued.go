package ctl

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/jointoken"
)

// issued is a token that was just made. Its JSON form is stable. It is the one place where the secret is written out.
type issued struct {
	Name      string      `json:"name"`
	Namespace string      `json:"namespace"`
	Group     string      `json:"group"`
	Token     string      `json:"token"`
	ExpiresAt metav1.Time `json:"expiresAt"`
	MaxUses   int32       `json:"maxUses"`
	Hostname  string      `json:"hostname,omitempty"`
	CIDRs     []string    `json:"cidrs,omitempty"`
	// Manager is the address to join by, host and port.
	Manager string `json:"manager"`
	// Commands to run on the machine, as root.
	Commands []string `json:"commands"`

	ttl time.Duration
}

func newIssued(token jointoken.Token, object *v1alpha1.JoinToken, manager string, ttl time.Duration) issued {
	made := issued{
		Name: object.Name, Namespace: object.Namespace, Group: object.Spec.Group, Token: token.Reveal(), ExpiresAt: object.Spec.ExpiresAt,
		MaxUses: object.Spec.MaxUses, Hostname: object.Spec.Hostname, CIDRs: object.Spec.CIDRs, Manager: manager, ttl: ttl,
	}
	made.Commands = []string{
		"apt-get install -y ./hawser-agent_*.deb",
		// By way of a pipe the secret gets into no argument list, which all users of the machine can read.
		fmt.Sprintf("echo %s | hawser-agent join --manager %s --token-file -", made.Token, manager),
	}
	return made
}

// printToken writes the token: for people as commands to paste, with remarks as the shell's comments.
func (t *tool) printToken(made issued, format *output) error {
	switch format.format {
	case "token":
		_, err := fmt.Fprintln(t.Out, made.Token)
		return err
	case "json", "yaml":
		return format.printValue(t.Out, made)
	}
	_, err := fmt.Fprint(t.Out, made.instructions())
	return err
}

func (i issued) instructions() string {
	who := "one machine"
	if i.MaxUses > 1 {
		who = fmt.Sprintf("%d machines", i.MaxUses)
	}
	if i.Hostname != "" {
		who = i.Hostname
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# Lets %s join group %s/%s within %s.\n", who, i.Namespace, i.Group, life(i.ttl))
	if len(i.CIDRs) > 0 {
		fmt.Fprintf(&text, "# An address has to be in %s.\n", strings.Join(i.CIDRs, " or "))
	}
	text.WriteString("# Run as root on the machine; with dnf: dnf install -y ./hawser-agent*.rpm\n\n")
	for _, command := range i.Commands {
		text.WriteString(command + "\n")
	}
	fmt.Fprintf(&text, "\n# To see it come:     hawser get machines -n %s -w\n", i.Namespace)
	fmt.Fprintf(&text, "# To end the token:   hawser token revoke -n %s %s\n", i.Namespace, i.Name)
	return text.String()
}

// life writes a duration without the zeros at its end: 1h0m0s is 1h.
func life(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return text
}
