#include <fmt/format.h>

#include <set>

#include "dotsctl/cli.h"

namespace dots::dotsctl {
namespace {

std::string option_names(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) out += (out.empty() ? "--" : " --") + name;
    for (const std::string& name : option->get_snames()) out += (out.empty() ? "-" : " -") + name;
  }
  return out;
}

std::string command_names(const CLI::App& app) {
  std::string out;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    out += (out.empty() ? "" : " ") + sub->get_name();
  return out;
}

// Options that take a value, of the whole tree: the word behind one is no command.
void value_options(std::set<std::string>& out, const CLI::App& app) {
  for (const CLI::Option* option : app.get_options())
    if (option->get_items_expected_max() > 0)
      for (const std::string& name : option->get_lnames()) out.insert("--" + name);
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) value_options(out, *sub);
}

void cases(std::string& out, const CLI::App& app, const std::string& path) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string full = path.empty() ? sub->get_name() : path + " " + sub->get_name();
    std::string words = command_names(*sub);
    if (const std::string options = option_names(*sub); !options.empty()) words += (words.empty() ? "" : " ") + options;
    out += fmt::format("    \"{}\") words=\"{} $global\" ;;\n", full, words);
    cases(out, *sub, full);
  }
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string known;
  cases(known, app, "");
  std::set<std::string> with_value;
  value_options(with_value, app);
  return fmt::format(R"(# Completion of dotsctl for bash, printed by `dotsctl completion bash`.
_dotsctl() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
  local global="{global}" words="" path="" word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    case "$word" in
      {with_value}) ((i++)) ;;
      -*) ;;
      *)
        case " {commands} {inner} " in
          *" $word "*) path="${{path:+$path }}$word" ;;
        esac ;;
    esac
  done
  case "$previous" in
    --socket|--config|--file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --mitigator) mapfile -t COMPREPLY < <(compgen -W "dry-run nftables" -- "$current"); return ;;
    --protocol) mapfile -t COMPREPLY < <(compgen -W "tcp udp icmp icmpv6 sctp gre esp" -- "$current"); return ;;
  esac
  case "$path" in
    "") words="{commands} $global" ;;
{known}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  case "$path" in
    check-config|init) [[ "$current" == -* ]] || mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
  esac
}}
complete -o filenames -F _dotsctl dotsctl
)",
                     fmt::arg("global", option_names(app)), fmt::arg("commands", command_names(app)),
                     fmt::arg("inner", command_names(*app.get_subcommand("emergency")) + " " +
                                           command_names(*app.get_subcommand("completion")) + " " +
                                           command_names(*app.get_subcommand("cuid"))),
                     fmt::arg("known", known), fmt::arg("with_value", fmt::join(with_value, "|")));
}

}  // namespace dots::dotsctl
