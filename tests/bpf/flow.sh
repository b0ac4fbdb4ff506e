#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TCP over the bpf datapath, with legs written by hand (bpf-relay): a client's
# sessions go through a box that routing alone would not visit.
#
#     c 10.9.1.2          m 10.9.2.2 (box)      s 10.9.3.2
#     |eth0               |eth0                 |eth0
#     |toc 10.9.1.1       |tom 10.9.2.1         |tos 10.9.3.1
#     +---------------- r: routes --------------+
#
# nic: programs on the eth0 in c, m, s. port: on toc, tom, tos in r.
# bridge: port, and r is a bridge, all in one subnet.
#
#   flow.sh RELAY nic|port|bridge 4|6
set -eu

relay=$1 mode=$2 family=$3
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
command -v socat >/dev/null || { echo "skipped: needs socat"; exit 77; }

id=dyf$$
pin=/sys/fs/bpf/$id
work=$(mktemp -d)
jobs=()

cleanup() {
	local status=$?

	for job in "${jobs[@]}"; do
		kill "$job" 2>/dev/null || true
	done
	echo wipe | "$relay" "$pin" >/dev/null 2>&1 || true
	for ns in c m s r; do
		ip netns del $id$ns 2>/dev/null || true
	done
	if [ $status -ne 0 ] && [ $status -ne 77 ]; then
		cat "$work"/*.log
	fi
	rm -rf "$work"
	exit $status
}
trap cleanup EXIT

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

# Waits for a condition, 10 s at most.
until_true() {
	for _ in $(seq 200); do
		if "$@" >/dev/null 2>&1; then
			return
		fi
		sleep 0.05
	done
	fail "never came true: $*"
}

in_ns() {
	local ns=$id$1

	shift
	ip netns exec "$ns" "$@"
}

subnet() {
	if [ "$mode" = bridge ]; then
		echo 0
	else
		echo "$1"
	fi
}

address4() { echo 10.9."$(subnet "$1")".$((10 * $1 + $2)); }
address6() { echo fd09:"$(subnet "$1")"::$((10 * $1 + $2)); }

add_host() { # NAME NUMBER
	ip -n $id"$1" link add eth0 type veth peer name to"$1" netns ${id}r
	ip -n $id"$1" addr add "$(address4 "$2" 2)"/24 dev eth0
	ip -n $id"$1" addr add "$(address6 "$2" 2)"/64 dev eth0 nodad
	ip -n $id"$1" link set eth0 up
	ip -n ${id}r link set to"$1" up
	if [ "$mode" = bridge ]; then
		ip -n ${id}r link set to"$1" master br0
		return
	fi
	ip -n ${id}r addr add "$(address4 "$2" 1)"/24 dev to"$1"
	ip -n ${id}r addr add "$(address6 "$2" 1)"/64 dev to"$1" nodad
	ip -n $id"$1" route add default via "$(address4 "$2" 1)"
	ip -n $id"$1" route add default via "$(address6 "$2" 1)"
}

make_topology() {
	for ns in r c m s; do
		ip netns add $id$ns
		ip -n $id$ns link set lo up
		in_ns $ns sysctl -qw net.ipv4.conf.all.send_redirects=0 \
			net.ipv4.conf.default.send_redirects=0 net.ipv4.conf.all.rp_filter=0
	done
	in_ns r sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	in_ns m sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	if [ "$mode" = bridge ]; then
		ip -n ${id}r link add br0 type bridge
		ip -n ${id}r link set br0 up
		ip -n ${id}r addr add 10.9.0.1/24 dev br0
		ip -n ${id}r addr add fd09:0::1/64 dev br0 nodad
	fi
	add_host c 1
	add_host m 2
	add_host s 3
}

attach_all() {
	local number=0

	for host in c m s; do
		number=$((number + 1))
		if [ "$mode" = nic ]; then
			echo "attach $number $number nic eth0 $id$host mir$host"
		else
			echo "attach $number $number port to$host ${id}r"
		fi
	done
}

session() { # SLOT CLIENT-PORT: four legs
	local first=$(($2 + 10000)) second=$(($2 + 20000))

	echo "leg $1 1 $c $2 $s 5201 $c $first $m $first"
	echo "leg $(($1 + 1)) 2 $s 5201 $c $2 $m $first $c $first"
	echo "leg $(($1 + 2)) 2 $c $2 $s 5201 $m $second $s $second"
	echo "leg $(($1 + 3)) 3 $s 5201 $c $2 $s $second $m $second"
}

start_relay() { # STATEMENTS
	"$relay" "$pin" <"$1" >"$work/relay.log" 2>&1 &
	relay_job=$!
	jobs+=("$relay_job")
	until_true grep -q ready "$work/relay.log"
}

# The box's own view of session packets; with a nic, that of its mirror.
start_watch() {
	local interface=eth0

	if [ "$mode" = nic ]; then
		interface=mirm
	fi
	in_ns m tcpdump -l -n -i $interface -c 4 "host $c and host $s and tcp port 5201" \
		>"$work/watch" 2>"$work/watch.log" &
	jobs+=($!)
	watch_job=$!
	until_true grep -q listening "$work/watch.log"
}

transfer() { # CLIENT-PORT [COMMAND after the start]
	local port=$1

	shift
	rm -f "$work/got"
	in_ns s socat -u TCP$family-LISTEN:5201,reuseaddr CREATE:"$work/got" 2>"$work/socat.log" &
	jobs+=($!)
	local server=$!

	until_true sh -c "ip netns exec ${id}s ss -ltnH | grep -q :5201"
	in_ns c socat -u FILE:"$work/data" "TCP$family:$1,sourceport=$port,reuseaddr,connect-timeout=5" \
		2>>"$work/socat.log" &
	jobs+=($!)
	local client=$!

	shift
	"$@"
	wait $client || fail "client of port $port"
	wait $server || fail "server of port $port"
	cmp "$work/data" "$work/got" || fail "the file of port $port arrived changed"
}

kill_relay() {
	until_true test -s "$work/got"
	kill -9 $relay_job
	wait $relay_job 2>/dev/null || true
}

make_topology
if [ "$family" = 4 ]; then
	c=$(address4 1 2) m=$(address4 2 2) s=$(address4 3 2) target=$s:5201
else
	c=$(address6 1 2) m=$(address6 2 2) s=$(address6 3 2) target=[$s]:5201
fi
head -c 50000000 /dev/urandom >"$work/data"

{
	attach_all
	session 1 30000
	session 5 30001
	session 9 30002
	echo run
} >"$work/first"
{
	attach_all
	echo run
} >"$work/second"

start_relay "$work/first"
start_watch
transfer 30000 "$target" true
wait $watch_job || fail "the box does not see the session's own header"

# Without segmentation and checksum offload; the agent dies in the middle.
for host in c m s; do
	in_ns $host ethtool -K eth0 tso off gso off gro off tx off >/dev/null
done
transfer 30001 "$target" kill_relay
# What an agent that was killed left is taken over.
start_relay "$work/second"
transfer 30002 "$target" true

# A namespace that loses its name goes, though a TAP device of the agent was open in it.
ip netns del ${id}c
until_true sh -c "! ip -n ${id}r link show toc"

kill $relay_job
wait $relay_job || fail "relay"
for slot in $(seq 12); do
	grep -Eq "leg $slot state (7|8) out [1-9]" "$work/relay.log" || fail "leg $slot was not used, or did not end"
done
grep -q "^drop" "$work/relay.log" && fail "packets dropped: $(grep ^drop "$work/relay.log")"

echo wipe | "$relay" "$pin"
[ ! -e $pin ] || fail "wipe left $pin"
for ns in m s r; do
	ip -n $id$ns link | grep -E "dysco|mir" && fail "wipe left a device in $ns"
	for interface in eth0 toc tom tos; do
		if ip netns exec $id$ns tc qdisc show dev $interface 2>/dev/null | grep -q clsact; then
			fail "wipe left a qdisc on $interface in $ns"
		fi
	done
done
echo "ok: $mode, IPv$family"
