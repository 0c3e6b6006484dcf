# Takes all traffic rules of Istio's away, and those of Hawser's that lead lookups, by nftables and by each flavour of iptables that this host has. It needs nothing of
# Hawser's own, so that it works when the agent does not. istio-iptables --cleanup-only is not used for it: it looks for one
# flavour only, and takes the wrong one where tables of another are present.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
status=0

if command -v nft >/dev/null; then
	for table in $(nft list tables inet | awk '$3 ~ /^(istio-proxy-(nat|mangle|raw)|hawser-lookups)$/ { print $3 }'); do
		nft delete table inet "$table" || status=1
	done
fi

# Rules outside of Istio's chains that lead into them are deleted, then the chains are emptied, then removed.
undo='
	/^\*/ { table = $0; del = flush = drop = "" }
	/^:ISTIO_/ { chain = substr($1, 2); flush = flush "-F " chain "\n"; drop = drop "-X " chain "\n" }
	/^-A / && $2 !~ /^ISTIO_/ && / -j ISTIO_/ { sub(/^-A/, "-D"); del = del $0 "\n" }
	/^COMMIT/ && flush { printf "%s\n%s%s%sCOMMIT\n", table, del, flush, drop }
'
# Asking iptables makes tables in the kernel: only where Istio's rules were set by it.
[ "$1" = iptables ] || exit $status
for flavour in iptables ip6tables iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
	command -v "$flavour-save" >/dev/null || continue
	rules=$("$flavour-save" 2>/dev/null | awk "$undo") || status=1
	[ -z "$rules" ] || printf '%s\n' "$rules" | "$flavour-restore" --noflush || status=1
done
exit $status
