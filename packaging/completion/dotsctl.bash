# Completion of dotsctl for bash, printed by `dotsctl completion bash`.
_dotsctl() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
  local global="--help -h --socket --config --json --version" words="" path="" word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    case "$word" in
      --action|--activate|--activation|--actor|--after|--alias|--before|--client|--config|--contract|--cuid|--deactivate|--destination|--domain|--file|--fqdn|--icmp-type|--if-match|--interval|--lifetime|--limit|--mid|--mitigator|--name|--note|--port|--prefix|--protocol|--rate-limit|--reason|--record|--rounds|--server|--service|--signal-port|--since|--socket|--source|--source-port|--status|--subject|--target|--target-prefix|--to|--ttl|--until|--uri|--volume|--wait-time) ((i++)) ;;
      -*) ;;
      *)
        case " status mitigate list show watch withdraw approve refuse refresh efficacy cuid policy what-if freeze unfreeze release-armed explain rules filters audit decode check-config reload redirect alias filter capabilities apply init emergency config-reference data-reference messages completion list remove-all clear-marker bash release " in
          *" $word "*) path="${path:+$path }$word" ;;
        esac ;;
    esac
  done
  case "$previous" in
    --socket|--config|--file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --mitigator) mapfile -t COMPREPLY < <(compgen -W "dry-run nftables" -- "$current"); return ;;
    --protocol) mapfile -t COMPREPLY < <(compgen -W "tcp udp icmp icmpv6 sctp gre esp" -- "$current"); return ;;
  esac
  case "$path" in
    "") words="status mitigate list show watch withdraw approve refuse refresh efficacy cuid policy what-if freeze unfreeze release-armed explain rules filters audit decode check-config reload redirect alias filter capabilities apply init emergency config-reference data-reference messages completion $global" ;;
    "status") words="--help -h $global" ;;
    "mitigate") words="--help -h --target-prefix --fqdn --uri --alias --port --protocol --lifetime --note --server --contract --service --activate --deactivate --armed --wait --wait-time $global" ;;
    "list") words="--help -h $global" ;;
    "show") words="--help -h --domain --cuid --server $global" ;;
    "watch") words="--help -h --interval --rounds $global" ;;
    "withdraw") words="--help -h --domain --cuid --server --force --note $global" ;;
    "approve") words="--help -h --domain --cuid --server --note $global" ;;
    "refuse") words="--help -h --domain --cuid --server --reason $global" ;;
    "refresh") words="--help -h --domain --cuid --server $global" ;;
    "efficacy") words="--help -h --domain --cuid --server --status $global" ;;
    "cuid") words="release --help -h $global" ;;
    "cuid release") words="--help -h --domain --note $global" ;;
    "policy") words="--help -h $global" ;;
    "what-if") words="--help -h --domain --target --protocol --port --service --contract --volume $global" ;;
    "freeze") words="--help -h --reason $global" ;;
    "unfreeze") words="--help -h $global" ;;
    "release-armed") words="--help -h $global" ;;
    "explain") words="--help -h $global" ;;
    "rules") words="--help -h --domain --mitigator --differences --limit $global" ;;
    "filters") words="--help -h --domain --cuid $global" ;;
    "audit") words="--help -h --limit --domain --actor --action --subject --since --until --json-lines $global" ;;
    "decode") words="--help -h --file $global" ;;
    "check-config") words="--help -h $global" ;;
    "reload") words="--help -h --dry-run $global" ;;
    "redirect") words="--help -h --to --record --ttl --domain --client --force --now --off --note $global" ;;
    "alias") words="list show delete put import --help -h $global" ;;
    "alias list") words="--help -h --kept --server $global" ;;
    "alias show") words="--help -h --server $global" ;;
    "alias delete") words="--help -h --if-match --server $global" ;;
    "alias put") words="--help -h --name --if-match --new --server --target-prefix --fqdn --uri --port --protocol $global" ;;
    "alias import") words="--help -h --dry-run --server $global" ;;
    "filter") words="list show delete activate deactivate put --help -h $global" ;;
    "filter list") words="--help -h --kept --server $global" ;;
    "filter show") words="--help -h --server $global" ;;
    "filter delete") words="--help -h --if-match --server $global" ;;
    "filter activate") words="--help -h --mid --server --note --when-mitigating $global" ;;
    "filter deactivate") words="--help -h --mid --server --note $global" ;;
    "filter put") words="--help -h --name --if-match --new --server --source --destination --protocol --port --source-port --icmp-type --fragments --activation $global" ;;
    "filter put ") words="--help -h --drop --accept --rate-limit $global" ;;
    "filter put ") words="--help -h --before --after --first --last $global" ;;
    "capabilities") words="--help -h --server $global" ;;
    "apply") words="--help -h --file -f --dry-run --prune --server $global" ;;
    "init") words="--help -h --domain --prefix --signal-port --mitigator --force $global" ;;
    "emergency") words="list remove-all clear-marker --help -h $global" ;;
    "emergency list") words="--help -h $global" ;;
    "emergency remove-all") words="--help -h --clear-marker --note $global" ;;
    "emergency clear-marker") words="--help -h $global" ;;
    "config-reference") words="--help -h $global" ;;
    "data-reference") words="--help -h $global" ;;
    "messages") words="--help -h $global" ;;
    "completion") words="bash --help -h $global" ;;
    "completion bash") words="--help -h $global" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  case "$path" in
    check-config|init) [[ "$current" == -* ]] || mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
  esac
}
complete -o filenames -F _dotsctl dotsctl
