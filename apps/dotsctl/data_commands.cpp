// alias, filter, capabilities and apply: the data channel of a client.
#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <ostream>

#include "data/client/alias_import.h"
#include "dotsctl/apply.h"
#include "dotsctl/exit_code.h"
#include "dotsctl/json_read.h"
#include "dotsctl/render_data.h"
#include "dotsctl/text.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;
using namespace data::client;
using What = PlanStep::What;

constexpr std::chrono::seconds kPatience{65};

std::string words(const data::Fault& fault) {
  return fault.message + (fault.path.empty() ? "" : " (at " + fault.path + ")");
}

int list_or_show(Kind kind, bool show, const Options& options, Streams streams) {
  const auto socket = socket_of(options);
  if (!socket) return fail(options, streams, kUsage, socket.error().message, "");
  const Options::Data& d = options.data;
  json::object arguments;
  if (!d.server.empty()) arguments["server"] = d.server;
  if (show) arguments["name"] = d.name;
  if (d.kept) arguments["kept"] = true;
  const ApiReply reply = call_api(*socket, kind == Kind::alias ? "aliases" : "filters", arguments, kPatience);
  if (const int code = check(options, streams, reply); code != kOk) return code;
  if (options.json) {
    streams.out << json::serialize(reply.body) << "\n";
  } else if (d.kept) {
    streams.out << render_kept(reply.body);
  } else {
    streams.out << (show ? render_entry(kind, reply.body) : render_entries(kind, reply.body));
    // Not into a file that is put again.
    if (const std::string etag = text_of(reply.body, "etag"); show && !etag.empty())
      streams.err << "entity-tag: " << printable(etag) << "\n";
  }
  return kOk;
}

int put(Kind kind, const Options& options, Streams streams) {
  const Options::Data& d = options.data;
  const std::string word(word_of(kind));
  std::vector<Entry> entries;
  if (d.file.empty() == d.name.empty())
    return fail(options, streams, kUsage,
                d.file.empty() ? "what is put? name a FILE, or --name with flags" : "a FILE names its entries itself",
                "dotsctl " + word + " put --help");
  if (!d.file.empty()) {
    auto read = read_wanted(d.file, streams.in);
    if (!read) return fail(options, streams, kUsage, read.error().message, "");
    for (Entry& entry : read->entries)
      if (entry.kind == kind) entries.push_back(std::move(entry));
    if (entries.size() != read->entries.size() || entries.empty())
      return fail(options, streams, kUsage, "'" + d.file + "' holds other things than a " + word,
                  "dotsctl apply -f takes both kinds");
  } else {
    const auto flags = kind == Kind::alias ? alias_from_flags(d) : filter_from_flags(d);
    if (!flags) return fail(options, streams, kUsage, flags.error().message, "");
    auto read = read_entry(kind, json::serialize(*flags));
    if (!read) return fail(options, streams, kUsage, words(read.error()), "dotsctl " + word + " put --help");
    entries.push_back({kind, std::move(*read)});
  }
  if (entries.size() > 1 && (!d.if_match.empty() || !d.before.empty() || !d.after.empty() || d.first || d.last))
    return fail(options, streams, kUsage, "one entity-tag or place does not go with several entries",
                "put them one by one, or use dotsctl apply");
  const auto socket = socket_of(options);
  if (!socket) return fail(options, streams, kUsage, socket.error().message, "");
  using Where = data::Placement::Where;
  data::Placement placement;
  if (d.first) placement.where = Where::first;
  if (d.last) placement.where = Where::last;
  if (!d.before.empty()) placement = {Where::before, {d.before}};
  if (!d.after.empty()) placement = {Where::after, {d.after}};
  for (Entry& entry : entries) {
    const std::string name = name_of(entry.config);
    PlanStep step{d.create_only ? What::create : What::replace, kind, name, std::move(entry), placement};
    const ApiReply reply = carry_out(step, d.if_match, d.server, *socket);
    if (const int code = check(options, streams, reply); code != kOk) return code;
    streams.out << (options.json ? json::serialize(reply.body)
                                 : printable(word + " " + name + " " + text_of(reply.body, "result")))
                << "\n";
  }
  return kOk;
}

int erase(Kind kind, const Options& options, Streams streams) {
  const auto socket = socket_of(options);
  if (!socket) return fail(options, streams, kUsage, socket.error().message, "");
  const PlanStep step{What::erase, kind, options.data.name, std::nullopt, {}};
  const ApiReply reply = carry_out(step, options.data.if_match, options.data.server, *socket);
  if (const int code = check(options, streams, reply); code != kOk) return code;
  streams.out << (options.json ? json::serialize(reply.body)
                               : printable(std::string(word_of(kind)) + " " + options.data.name + " deleted"))
              << "\n";
  return kOk;
}

int capabilities(const Options& options, Streams streams) {
  const auto socket = socket_of(options);
  if (!socket) return fail(options, streams, kUsage, socket.error().message, "");
  json::object arguments;
  if (!options.data.server.empty()) arguments["server"] = options.data.server;
  const ApiReply reply = call_api(*socket, "capabilities", arguments, kPatience);
  if (const int code = check(options, streams, reply); code != kOk) return code;
  streams.out << (options.json ? json::serialize(reply.body) + "\n" : render_capabilities(reply.body));
  return kOk;
}

int import(const Options& options, Streams streams) {
  const auto text = read_text(options.data.file, streams.in);
  if (!text) return fail(options, streams, kUsage, text.error().message, "");
  auto aliases = import_aliases(*text);
  if (!aliases) return fail(options, streams, kUsage, options.data.file + ": " + words(aliases.error()), "");
  return apply({std::move(*aliases), {Kind::alias}}, options, streams);
}

}  // namespace

bool is_data_command(const std::string& command) {
  constexpr std::array<std::string_view, 11> all{"alias list",    "alias show",   "alias put",   "alias delete",
                                                 "alias import",  "filter list",  "filter show", "filter put",
                                                 "filter delete", "capabilities", "apply"};
  return std::find(all.begin(), all.end(), command) != all.end();
}

int run_data(const std::string& command, const Options& options, Streams streams) {
  if (command == "capabilities") return capabilities(options, streams);
  if (command == "alias import") return import(options, streams);
  if (command == "apply") {
    const auto wanted = read_wanted(options.data.file, streams.in);
    if (!wanted) return fail(options, streams, kUsage, wanted.error().message, "");
    return apply(*wanted, options, streams);
  }
  const Kind kind = command.starts_with("filter") ? Kind::acl : Kind::alias;
  if (command.ends_with(" put")) return put(kind, options, streams);
  if (command.ends_with(" delete")) return erase(kind, options, streams);
  return list_or_show(kind, command.ends_with(" show"), options, streams);
}

}  // namespace dots::dotsctl
