#include "dotsctl/cli.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>

namespace dots::dotsctl {
namespace {

CLI::App* command(CLI::App& parent, const std::string& name, const std::string& help) {
  CLI::App* sub = parent.add_subcommand(name, help);
  sub->fallthrough();  // --json and --socket may stand behind the command
  return sub;
}

CLI::App* which(CLI::App& app, const std::string& name, const std::string& help, Options& options) {
  CLI::App* sub = command(app, name, help);
  sub->add_option("MID", options.which.mid, "Number of the mitigation")->required();
  sub->add_option("--domain", options.which.domain, "Server: the client domain, when several have this number");
  sub->add_option("--cuid", options.which.cuid, "Server: the client unique identifier, when several have this number");
  sub->add_option("--server", options.which.server, "Client: which [[upstream]], when several have this number");
  return sub;
}

void mitigate(CLI::App& app, Options& options) {
  auto& m = options.mitigate;
  CLI::App* sub = command(app, "mitigate", "Client: ask for help against an attack");
  sub->add_option("--target-prefix", m.prefixes, "Address or prefix under attack")->delimiter(',');
  sub->add_option("--fqdn", m.fqdns, "Name under attack")->delimiter(',');
  sub->add_option("--uri", m.uris, "URI under attack");
  sub->add_option("--alias", m.aliases, "Alias of targets that the server knows")->delimiter(',');
  sub->add_option("--port", m.ports, "Destination port or range, as 53 or 8000-8080")->delimiter(',');
  sub->add_option("--protocol", m.protocols, "Protocol: tcp, udp, icmp, ... or its number")->delimiter(',');
  sub->add_option("--lifetime", m.lifetime, "How long: seconds, or 30m, 2h, 1d, or 'forever'");
  sub->add_option("--note", m.note, "Why, for the records");
  sub->add_option("--server", m.server, "Which [[upstream]], when there are several");
  sub->add_option("--contract", m.contract, "The contract that the request refers to, by its id");
  sub->add_option("--service", m.service, "The service that is wanted, by its name at the server");
  sub->add_option("--activate", m.activate, "Filter to be activated with the request")->delimiter(',');
  sub->add_option("--deactivate", m.deactivate, "Filter to be deactivated with the request")->delimiter(',');
  sub->add_flag("--armed", m.armed, "Start only when the server loses our signal");
  sub->add_flag("--wait", m.wait, "Wait until the attack is mitigated");
  sub->add_option("--wait-time", m.wait_s, "Longest wait in seconds")
      ->capture_default_str()
      ->check(CLI::Range(1, 86400));
}

// Over the signal channel, during a mitigation (RFC 9133).
void switch_filters(CLI::App& filter, Options& options) {
  for (const bool on : {true, false}) {
    CLI::App* sub = command(filter, on ? "activate" : "deactivate",
                            on ? "Client: enforce filters while a mitigation runs, over the signal channel"
                               : "Client: enforce filters no more while a mitigation runs, over the signal channel");
    sub->add_option("NAME", options.filter.names, "Names of the filters")->required();
    sub->add_option("--mid", options.which.mid, "Number of the mitigation that runs")->required();
    sub->add_option("--server", options.which.server, "Which [[upstream]], when several have this number");
    sub->add_option("--note", options.which.note, "Why, for the records");
    if (on)
      sub->add_flag("--when-mitigating", options.filter.when_mitigating, "Only as long as something is mitigated");
  }
}

void redirect(CLI::App& app, Options& options) {
  auto& r = options.redirect;
  CLI::App* sub = command(app, "redirect", "Server: who is sent to another server, and who has left; or send them");
  sub->add_option("--to", r.to, "Name of the other server");
  sub->add_option("--record", r.records, "Its addresses, so that clients need no look-up")->delimiter(',');
  sub->add_option("--ttl", r.ttl, "How long clients use it: seconds, or 30m, 2h, 1d, or 'forever'");
  sub->add_option("--domain", r.domain, "Only this client domain");
  sub->add_option("--client", r.client, "Only this client of the domain")->needs("--domain");
  sub->add_flag("--force", r.force, "Clients with a running mitigation as well");
  sub->add_flag("--now", r.now, "To redirect.alt_server of the configuration, when there is no --to");
  sub->add_flag("--off", r.off, "No longer: all orders, or the one of this domain or client");
  sub->add_option("--note", r.note, "Why, for the records");
}

void what_if(CLI::App& app, Options& options) {
  auto& w = options.what_if;
  CLI::App* sub = command(app, "what-if", "Server: what would become of a request, and why; nothing is started");
  sub->add_option("--domain", w.domain, "The client domain that asks")->required();
  sub->add_option("--target", w.prefixes, "Address or prefix under attack")->delimiter(',')->required();
  sub->add_option("--protocol", w.protocols, "Protocol: tcp, udp, icmp, ... or its number")->delimiter(',');
  sub->add_option("--port", w.ports, "Destination port or range, as 53 or 8000-8080")->delimiter(',');
  sub->add_option("--service", w.service, "The service that it asks for");
  sub->add_option("--contract", w.contract, "The contract that it names");
  sub->add_option("--volume", w.volume_bits_per_s, "Attack traffic in bits per second, as back ends would measure it");
}

// alias and filter: what they have in common.
void entries(CLI::App& sub, const std::string& word, Options& options) {
  auto& d = options.data;
  const auto server = [&d](CLI::App* one) {
    one->add_option("--server", d.server, "Which [[upstream]], when several have a data channel");
  };
  CLI::App* list = command(sub, "list", "What the server has of ours");
  list->add_flag("--kept", d.kept, "What this client keeps there, without asking the server");
  server(list);
  CLI::App* show = command(sub, "show", "One " + word + " as the server has it");
  show->add_option("NAME", d.name, "Its name")->required();
  server(show);
  CLI::App* erase = command(sub, "delete", "Remove a " + word + " from the server");
  erase->add_option("NAME", d.name, "Its name")->required();
  erase->add_option("--if-match", d.if_match, "Only when its entity-tag is still this one (see show)");
  server(erase);
}

CLI::App* put(CLI::App& sub, const std::string& word, Options& options) {
  auto& d = options.data;
  CLI::App* put = command(sub, "put", "Create or replace: a document of RFC 8783, or one " + word + " from the flags");
  put->add_option("FILE", d.file, "The document; '-' reads standard input");
  put->add_option("--name", d.name, "Its name, when it comes from flags");
  put->add_option("--if-match", d.if_match, "Only when its entity-tag is still this one (see show)");
  put->add_flag("--new", d.create_only, "Only when the server has none of this name");
  put->add_option("--server", d.server, "Which [[upstream]], when several have a data channel");
  return put;
}

void data_channel(CLI::App& app, Options& options) {
  auto& d = options.data;
  CLI::App* alias = command(app, "alias", "Client: names for what is protected, kept at the server");
  alias->require_subcommand(1);
  entries(*alias, "alias", options);
  CLI::App* sub = put(*alias, "alias", options);
  sub->add_option("--target-prefix", d.prefixes, "Address or prefix")->delimiter(',');
  sub->add_option("--fqdn", d.fqdns, "DNS name")->delimiter(',');
  sub->add_option("--uri", d.uris, "URI");
  sub->add_option("--port", d.ports, "Port or range, as 53 or 8000-8080")->delimiter(',');
  sub->add_option("--protocol", d.protocols, "Protocol: tcp, udp, icmp, ... or its number")->delimiter(',');
  sub = command(*alias, "import", "Aliases of a JSON map from a name to a list of address:port or URIs");
  sub->add_option("FILE", d.file, "The map; '-' reads standard input")->required();
  sub->add_flag("--dry-run", d.dry_run, "Only show the difference");
  sub->add_option("--server", d.server, "Which [[upstream]], when several have a data channel");

  CLI::App* filter =
      command(app, "filter", "Client: lists of what is dropped, accepted or limited, kept at the server");
  filter->require_subcommand(1);
  entries(*filter, "filter", options);
  switch_filters(*filter, options);
  sub = put(*filter, "filter", options);
  sub->add_option("--source", d.source, "Source address or prefix");
  sub->add_option("--destination", d.destination, "Destination address or prefix, of our own");
  sub->add_option("--protocol", d.protocol, "Protocol: tcp, udp, icmp, ... or its number");
  sub->add_option("--port", d.port, "Destination port or range, of tcp or udp");
  sub->add_option("--source-port", d.source_port, "Source port or range, of tcp or udp");
  sub->add_option("--icmp-type", d.icmp_type, "Type, of icmp or icmpv6");
  sub->add_flag("--fragments", d.fragments, "Only fragments");
  auto* action = sub->add_option_group("action");
  action->add_flag("--drop", d.drop, "What matches is dropped (a black-list)");
  action->add_flag("--accept", d.accept, "What matches passes, also in a mitigation (a white-list)");
  action->add_option("--rate-limit", d.rate_limit, "What matches passes up to so many bytes per second");
  action->require_option(0, 1);
  sub->add_option("--activation", d.activation, "When it counts; default activate-when-mitigating")
      ->check(CLI::IsMember({"activate-when-mitigating", "immediate", "deactivate"}));
  auto* place = sub->add_option_group("place");
  place->add_option("--before", d.before, "In front of this filter; the first that matches decides");
  place->add_option("--after", d.after, "Behind this filter");
  place->add_flag("--first", d.first, "In front of all");
  place->add_flag("--last", d.last, "Behind all");
  place->require_option(0, 1);

  CLI::App* capabilities = command(app, "capabilities", "Client: what filters of the server can match and do");
  capabilities->add_option("--server", d.server, "Which [[upstream]], when several have a data channel");
  CLI::App* apply = command(app, "apply", "Client: make the server have the aliases and filters of files");
  apply->add_option("-f,--file", d.file, "A document of RFC 8783, or a folder of them (*.json, in order of names)")
      ->required();
  apply->add_flag("--dry-run", d.dry_run, "Only show the difference");
  apply->add_flag("--prune", d.prune, "Delete what the files do not have, of the kinds that they have");
  apply->add_option("--server", d.server, "Which [[upstream]], when several have a data channel");
}

void init(CLI::App& app, Options& options) {
  auto& i = options.init;
  CLI::App* sub = command(app, "init", "Write a working server and client for this machine");
  sub->add_option("DIR", i.folder, "Folder to write into")->required();
  sub->add_option("--domain", i.set.domain, "Name of the client domain")->capture_default_str();
  sub->add_option_function<std::vector<std::string>>(
         "--prefix",
         [&i](const std::vector<std::string>& prefixes) {
           i.set.prefixes = prefixes;
           i.prefixes_given = true;
         },
         "Prefix that the domain owns")
      ->delimiter(',');
  sub->add_option("--signal-port", i.set.signal_port, "UDP port of the server")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
  sub->add_option("--mitigator", i.set.mitigator, "What stops the traffic")
      ->capture_default_str()
      ->check(CLI::IsMember({"dry-run", "nftables"}));
  sub->add_flag("--force", i.force, "Overwrite what is there, keys included");
}

void emergency(CLI::App& app, Options& options) {
  CLI::App* sub = command(app, "emergency", "Server, with the daemon stopped or dead: look at the rules, remove them");
  sub->require_subcommand(1);
  command(*sub, "list", "What is installed now (needs --config)");
  CLI::App* remove =
      command(*sub, "remove-all", "Remove every rule of ours; a restart does not reinstall (needs --config)");
  remove->add_flag("--clear-marker", options.emergency.clear_marker, "Let a restart install rules again");
  remove->add_option("--note", options.emergency.note, "Why, for the records");
  command(*sub, "clear-marker", "Let a restart install rules again, and remove nothing (needs --config)");
}

}  // namespace

void build_cli(CLI::App& app, Options& options) {
  app.description("The operator's hand on a Tidewall daemon.");
  app.footer(
      "Exit codes: 0 done, 1 refused or failed, 2 wrong command line, 3 no daemon answers, 4 not found.\n"
      "The daemon is found through --socket, --config, or /run/tidewall/dotsd.sock.");
  app.require_subcommand(1);
  app.add_option("--socket", options.socket, "Unix socket of the daemon");
  app.add_option("--config", options.config, "Configuration file of the daemon, which names its socket");
  app.add_flag("--json", options.json, "Print JSON");

  command(app, "status", "How the daemon is");
  mitigate(app, options);
  command(app, "list", "All mitigations");
  which(app, "show", "One mitigation at length", options);
  CLI::App* watch = command(app, "watch", "The mitigations, live");
  watch->add_option("--interval", options.watch.interval_s, "Seconds between two looks")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
  watch->add_option("--rounds", options.watch.rounds, "End after so many looks; 0 is never")->capture_default_str();
  CLI::App* withdraw = which(app, "withdraw", "End a mitigation", options);
  withdraw->add_flag("--force", options.which.force, "Client: also when only the server knows of it");
  which(app, "approve", "Server: let a mitigation begin that waits for a person", options)
      ->add_option("--note", options.which.note, "Why, for the records");
  which(app, "refuse", "Server: end a mitigation that waits for a person", options)
      ->add_option("--reason", options.which.note, "Why; for the records, and for clients that take it")
      ->required();
  which(app, "refresh", "Client: renew a mitigation now", options);
  withdraw->add_option("--note", options.which.note, "Why, for the records");
  which(app, "efficacy", "Client: tell the server how well a mitigation works", options)
      ->add_option("--status", options.which.attack, "What you see")
      ->required()
      ->check(CLI::IsMember({"under-attack", "mitigated"}));
  CLI::App* cuid = command(app, "cuid", "Server: client unique identifiers");
  cuid->require_subcommand(1);
  CLI::App* release = command(*cuid, "release", "Free an identifier from its client, so that another may use it");
  release->add_option("CUID", options.which.cuid, "The identifier")->required();
  release->add_option("--domain", options.which.domain, "The client domain, when there are several");
  release->add_option("--note", options.which.note, "Why, for the records");
  command(app, "policy", "Server: which back ends mitigate what, and what nothing may touch");
  what_if(app, options);
  command(app, "freeze", "Server: install nothing new and remove nothing, until 'unfreeze'; a restart does not end it")
      ->add_option("--reason", options.which.note, "Why, for the records");
  command(app, "unfreeze", "Server: end a freeze: what is wanted is installed, what is not is removed");
  command(app, "release-armed", "Server: the silent clients are lost, so start their preconfigured requests");
  command(app, "explain", "What is blocked, why, for whom and until when")
      ->add_option("MID|PREFIX", options.explain, "Only what concerns this mitigation or these addresses");
  CLI::App* rules =
      command(app, "rules", "Server: the rules on the back ends: desired, installed, the difference, for whom");
  rules->add_option("PREFIX", options.rules.prefix, "Only rules that touch these addresses");
  rules->add_option("--domain", options.rules.domain, "Only rules that this client domain wants");
  rules->add_option("--mitigator", options.rules.back_end, "Only this back end");
  rules->add_flag("--differences", options.rules.differences, "Only where desired and installed differ");
  rules->add_option("--limit", options.rules.limit, "At most so many rules")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  CLI::App* filters =
      command(app, "filters", "Server: the filters of clients, which of them are in force, and their counters");
  filters->add_option("PREFIX", options.explain, "Only lists with an entry that is about these addresses");
  filters->add_option("--domain", options.which.domain, "Only this client domain");
  filters->add_option("--cuid", options.which.cuid, "Only this client unique identifier");
  CLI::App* audit = command(app, "audit", "Who asked for what, and what became of it");
  audit->add_option("--limit", options.audit.limit, "Newest lines to show: 50, and 10000 with --json-lines")
      ->check(CLI::Range(1, 10000));
  audit->add_option("--domain", options.audit.domain, "Only this client domain");
  audit->add_option("--actor", options.audit.actor, "Only actors or credentials with this text");
  audit->add_option("--action", options.audit.action, "Only this action, as request, withdraw or refuse");
  audit->add_option("--subject", options.audit.subject, "Only subjects with this text, as mid=7");
  audit->add_option("--since", options.audit.since, "From this time on: 30m, 2h, 7d ago, or 2026-11-22T15:00:00Z");
  audit->add_option("--until", options.audit.until, "Before this time, written likewise");
  audit->add_flag("--json-lines", options.audit.json_lines, "One JSON object for each line, oldest first");
  CLI::App* decode = command(app, "decode", "Make a DOTS message body (CBOR) readable");
  decode->add_option("HEX", options.decode.input, "The bytes in hexadecimal; '-' or nothing reads standard input");
  decode->add_option("--file", options.decode.file, "A file with the bytes, raw or in hexadecimal");
  command(app, "check-config", "Check a configuration and what it needs from this machine")
      ->add_option("FILE", options.check_file, "The configuration")
      ->required();
  command(app, "reload", "Make the daemon read its configuration again: all of it is applied, or nothing")
      ->add_flag("--dry-run", options.dry_run, "Only check it and show the difference");
  redirect(app, options);
  data_channel(app, options);
  init(app, options);
  emergency(app, options);
  command(app, "config-reference", "Every configuration key, as Markdown");
  command(app, "data-reference", "The tree of the data channel, as Markdown");
  command(app, "messages", "Every message, metric and state of health of the daemon, as Markdown");
  CLI::App* completion = command(app, "completion", "Shell completion");
  completion->require_subcommand(1);
  command(*completion, "bash", "For bash: source <(dotsctl completion bash)");
}

std::string chosen_command(const CLI::App& app) {
  for (const CLI::App* sub : app.get_subcommands()) {
    const std::string rest = chosen_command(*sub);
    return rest.empty() ? sub->get_name() : sub->get_name() + " " + rest;
  }
  return "";
}

}  // namespace dots::dotsctl
