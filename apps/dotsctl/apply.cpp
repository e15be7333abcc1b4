#include "dotsctl/apply.h"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <ostream>

#include "dotsctl/exit_code.h"
#include "dotsctl/json_read.h"
#include "dotsctl/text.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using namespace data::client;
using What = PlanStep::What;
using Key = std::pair<Kind, std::string>;

constexpr std::size_t kMostBytes = std::size_t{64} << 20;
constexpr std::chrono::seconds kPatience{65};  // the daemon gives the server 50 s

std::string words(const data::Fault& fault) {
  return fault.message + (fault.path.empty() ? "" : " (at " + fault.path + ")");
}

std::string quoted(Kind kind, const std::string& name) { return std::string(word_of(kind)) + " '" + name + "'"; }

struct Present {
  std::vector<Entry> entries;
  std::set<Key> kept;
};

// What the server has of one kind.
int look(Kind kind, const Options& options, const std::string& socket, Streams streams, Present& present) {
  json::object arguments;
  if (!options.data.server.empty()) arguments["server"] = options.data.server;
  const ApiReply reply = call_api(socket, kind == Kind::alias ? "aliases" : "filters", arguments, kPatience);
  if (const int code = check(options, streams, reply); code != kOk) return code;
  for (const json::value& entry : list_of(reply.body, "entries")) {
    auto read = read_entry(kind, json::serialize(entry), true);
    if (!read) {
      return fail(options, streams, kRefused,
                  quoted(kind, text_of(entry, "name")) + " of the server cannot be read: " + words(read.error()),
                  "ask the operator of the server");
    }
    present.entries.push_back({kind, std::move(*read)});
  }
  for (const json::value& name : list_of(reply.body, "kept")) present.kept.insert({kind, scalar_text(&name)});
  return kOk;
}

// The entry and its entity-tag, as they are now.
struct Current {
  std::optional<data::Instance> entry;
  std::string etag;
};
int look_closely(const PlanStep& step, const Options& options, const std::string& socket, Streams streams,
                 Current& current) {
  json::object arguments{{"name", step.name}};
  if (!options.data.server.empty()) arguments["server"] = options.data.server;
  const ApiReply reply = call_api(socket, step.kind == Kind::alias ? "aliases" : "filters", arguments, kPatience);
  if (const int code = check(options, streams, reply); code != kOk) return code;
  const json::array entries = list_of(reply.body, "entries");
  if (entries.size() == 1) {
    if (auto read = read_entry(step.kind, json::serialize(entries[0]), true)) current.entry = std::move(*read);
  }
  current.etag = text_of(reply.body, "etag");
  return kOk;
}

int check_capabilities(const Wanted& wanted, const Options& options, const std::string& socket, Streams streams) {
  if (std::none_of(wanted.entries.begin(), wanted.entries.end(),
                   [](const Entry& entry) { return entry.kind == Kind::acl; })) {
    return kOk;
  }
  json::object arguments;
  if (!options.data.server.empty()) arguments["server"] = options.data.server;
  const ApiReply reply = call_api(socket, "capabilities", arguments, kPatience);
  if (const int code = check(options, streams, reply); code != kOk) return code;
  const json::value* said = member(reply.body, "capabilities");
  const auto offer = read_capabilities(
      json::serialize(json::object{{"ietf-dots-data-channel:capabilities", said != nullptr ? *said : json::value{}}}));
  if (!offer) return fail(options, streams, kRefused, words(offer.error()), "ask the operator of the server");
  for (const Entry& entry : wanted.entries) {
    if (const auto good = check_offered(entry, *offer); !good) {
      return fail(options, streams, kRefused,
                  quoted(entry.kind, name_of(entry.config)) + ": " + words(good.error()) + "; nothing was sent",
                  "see what it offers: dotsctl capabilities");
    }
  }
  return kOk;
}

std::string listing(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "nothing" : out;
}

}  // namespace

base::Result<std::string> read_text(const std::string& path, std::istream& in) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(in), {});
  } else {
    std::ifstream file{path, std::ios::binary};
    if (!file) return base::Error{"the file '" + path + "' cannot be read"};
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  if (text.size() > kMostBytes) return base::Error{"'" + path + "' is larger than 64 MB"};
  return text;
}

base::Result<Wanted> read_wanted(const std::string& path, std::istream& in) {
  std::vector<std::string> files{path};
  std::error_code error;
  if (path != "-" && fs::is_directory(path, error)) {
    files.clear();
    for (const auto& entry : fs::directory_iterator(path, error)) {
      if (entry.path().extension() == ".json") files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    if (files.empty()) return base::Error{"the folder '" + path + "' has no *.json files"};
  }
  Wanted wanted;
  std::map<Key, std::string> seen;
  for (const std::string& file : files) {
    const auto text = read_text(file, in);
    if (!text) return text.error();
    auto read = read_document(*text, &wanted.kinds);
    if (!read) return base::Error{file + ": " + words(read.error())};
    for (Entry& entry : *read) {
      const Key key{entry.kind, name_of(entry.config)};
      const auto [other, fresh] = seen.emplace(key, file);
      if (!fresh) return base::Error{quoted(key.first, key.second) + " stands in " + other->second + " and in " + file};
      wanted.entries.push_back(std::move(entry));
    }
  }
  return wanted;
}

ApiReply carry_out(const PlanStep& step, const std::string& etag, const std::string& server,
                   const std::string& socket) {
  json::object arguments;
  if (!server.empty()) arguments["server"] = server;
  const std::string word(word_of(step.kind));
  if (!etag.empty()) arguments["if-match"] = etag;
  if (step.what == What::erase) {
    arguments["name"] = step.name;
    return call_api(socket, word + "-delete", arguments, kPatience);
  }
  if (step.what == What::create) arguments["create-only"] = true;
  arguments["entry"] = json::parse(data::client::text_of(step.wanted->config));
  using Where = data::Placement::Where;
  const std::map<Where, const char*> where{
      {Where::first, "first"}, {Where::last, "last"}, {Where::before, "before"}, {Where::after, "after"}};
  if (const auto it = where.find(step.placement.where); it != where.end()) arguments["insert"] = it->second;
  if (!step.placement.point.empty()) arguments["point"] = step.placement.point.front();
  return call_api(socket, word + "-put", arguments, kPatience);
}

int apply(const Wanted& wanted, const Options& options, Streams streams) {
  const auto socket = socket_of(options);
  if (!socket) return fail(options, streams, kUsage, socket.error().message, "");
  if (const int code = check_capabilities(wanted, options, *socket, streams); code != kOk) return code;
  Present present;
  for (const Kind kind : wanted.kinds) {
    if (const int code = look(kind, options, *socket, streams, present); code != kOk) return code;
  }
  PlanInput input{wanted.entries, present.entries, present.kept, {}};
  if (options.data.prune) input.prune = wanted.kinds;
  const Plan plan = make_plan(input);

  // What is there is looked at once more, so that nothing that somebody else has just written is overwritten unseen.
  std::vector<Current> now(plan.steps.size());
  std::string shown;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    if (step.what != What::create) {
      if (const int code = look_closely(step, options, *socket, streams, now[i]); code != kOk) return code;
    }
    shown += difference(step, now[i].entry ? &*now[i].entry : nullptr);
  }
  for (const auto& [kind, name] : plan.others) {
    shown += "? " + quoted(kind, name) + " is at the server and not in the files; --prune deletes it\n";
  }
  json::array done_rows;
  const auto tell_end = [&](const std::string& text) {
    if (!options.json) streams.out << text;
  };
  if (!options.json) streams.out << printable_lines(shown);
  if (plan.steps.empty()) {
    tell_end("nothing changes: " + std::to_string(plan.unchanged) + " as they are\n");
  } else if (options.data.dry_run) {
    tell_end(std::to_string(plan.steps.size()) + " to do, " + std::to_string(plan.unchanged) +
             " as they are; nothing was sent (dry run)\n");
  }
  std::vector<std::string> done, left;
  for (const PlanStep& step : plan.steps) left.push_back(quoted(step.kind, step.name));
  for (std::size_t i = 0; i < plan.steps.size() && !options.data.dry_run; ++i) {
    const ApiReply reply = carry_out(plan.steps[i], now[i].etag, options.data.server, *socket);
    if (!reply.reached || reply.status != 200) {
      const int code = check(options, streams, reply);
      if (!options.json) {
        streams.err << "done:  " << printable(listing(done)) << "\nleft:  " << printable(listing(left))
                    << "\nnext:  run it again: what is done already is not done twice\n";
      }
      return code;
    }
    done.push_back(left.front());
    left.erase(left.begin());
  }
  if (options.json) {
    json::array steps;
    const std::map<What, const char*> names{{What::create, "create"},
                                            {What::replace, "replace"},
                                            {What::move, "move"},
                                            {What::keep, "keep"},
                                            {What::erase, "delete"}};
    for (const PlanStep& step : plan.steps) {
      steps.push_back(json::object{{"kind", word_of(step.kind)}, {"name", step.name}, {"step", names.at(step.what)}});
    }
    streams.out << json::serialize(json::object{{"steps", std::move(steps)},
                                                {"unchanged", plan.unchanged},
                                                {"carried_out", !options.data.dry_run}})
                << "\n";
  } else if (!plan.steps.empty() && !options.data.dry_run) {
    tell_end(std::to_string(done.size()) + " done, " + std::to_string(plan.unchanged) + " as they were\n");
  }
  return kOk;
}

}  // namespace dots::dotsctl
