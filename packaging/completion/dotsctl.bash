# Completion of dotsctl for bash, printed by `dotsctl completion bash`.
_dotsctl() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
  local global="--help -h --socket --config --json --version" words="" path="" word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    case "$word" in
      --activate|--alias|--client|--config|--cuid|--deactivate|--domain|--file|--fqdn|--interval|--lifetime|--limit|--mid|--mitigator|--note|--port|--prefix|--protocol|--record|--rounds|--server|--signal-port|--socket|--status|--target-prefix|--to|--ttl|--uri|--wait-time) ((i++)) ;;
      -*) ;;
      *)
        case " status mitigate list show watch withdraw refresh efficacy filter cuid release-armed explain filters audit decode check-config reload redirect init emergency config-reference data-reference messages completion list remove-all clear-marker bash release " in
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
    "") words="status mitigate list show watch withdraw refresh efficacy filter cuid release-armed explain filters audit decode check-config reload redirect init emergency config-reference data-reference messages completion $global" ;;
    "status") words="--help -h $global" ;;
    "mitigate") words="--help -h --target-prefix --fqdn --uri --alias --port --protocol --lifetime --note --server --activate --deactivate --armed --wait --wait-time $global" ;;
    "list") words="--help -h $global" ;;
    "show") words="--help -h --domain --cuid --server $global" ;;
    "watch") words="--help -h --interval --rounds $global" ;;
    "withdraw") words="--help -h --domain --cuid --server --force --note $global" ;;
    "refresh") words="--help -h --domain --cuid --server $global" ;;
    "efficacy") words="--help -h --domain --cuid --server --status $global" ;;
    "filter") words="activate deactivate --help -h $global" ;;
    "filter activate") words="--help -h --mid --server --note --when-mitigating $global" ;;
    "filter deactivate") words="--help -h --mid --server --note $global" ;;
    "cuid") words="release --help -h $global" ;;
    "cuid release") words="--help -h --domain --note $global" ;;
    "release-armed") words="--help -h $global" ;;
    "explain") words="--help -h $global" ;;
    "filters") words="--help -h --domain --cuid $global" ;;
    "audit") words="--help -h --limit --domain $global" ;;
    "decode") words="--help -h --file $global" ;;
    "check-config") words="--help -h $global" ;;
    "reload") words="--help -h --dry-run $global" ;;
    "redirect") words="--help -h --to --record --ttl --domain --client --force --now --off --note $global" ;;
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
