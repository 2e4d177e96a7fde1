#!/usr/bin/env bash
# Are generated campaigns found at the default budget, and is benign traffic left alone?
#
#   tests/campaigns.sh WATCHFIRE [SEEDS]      WATCHFIRE: the built command; SEEDS: 10 when absent
#
# For each kind and seed: ten hours of traffic with one campaign, learnt while watched. Found means a
# finding of a fitting class names an actor of the campaign. Everything else that is found is false.
set -euo pipefail
watchfire=$(realpath "$1")
seeds=${2:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

titles() { # of the findings in $1, one a line: "Network scan: 10.0.0.1"
    grep -o '"title":"[^"]*: [^"]*"' "$1" | cut -d'"' -f4 || true
}

for kind in scan brute-force beacon dns-tunnel exfiltration lateral-movement insider none; do
    case $kind in
        scan) class='Network scan' ;;
        brute-force) class='Credential guessing' ;;
        beacon) class='Command and control' ;;
        dns-tunnel) class='DNS tunnel' ;;
        exfiltration) class='Data exfiltration' ;;
        lateral-movement) class='Lateral movement' ;;
        insider) class='Insider misuse|Data exfiltration' ;;
        none) class='-' ;;
    esac
    found=0 false=()
    for seed in $(seq 1 "$seeds"); do
        campaign=(--campaign "$kind")
        [ "$kind" = none ] && campaign=()
        "$watchfire" generate --out logs --seed "$seed" "${campaign[@]}" >/dev/null
        "$watchfire" detect logs --no-state --quiet --output found.ndjson >/dev/null
        actors=$(awk -F, 'NR > 1 { gsub(/[;| ]/, "\n", $4); print $4 }' logs.labels.csv)
        titles found.ndjson | sort -u >titles.txt
        hit=0 others=0
        while IFS= read -r title; do
            if grep -qxF -- "${title##*: }" <<<"$actors"; then
                [[ ${title%: *} =~ ^($class)$ ]] && hit=1
            else
                others=$((others + 1))
            fi
        done <titles.txt
        found=$((found + hit))
        false+=("$others")
        rm -rf logs logs.labels.csv found.ndjson
    done
    echo "$kind: found $found of $seeds; false (class, entity) pairs a seed: ${false[*]}"
done
