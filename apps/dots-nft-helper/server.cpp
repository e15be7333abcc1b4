// SPDX-License-Identifier: GPL-2.0-only
#include "server.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace nfthelper {
namespace {

namespace json = boost::json;

constexpr std::size_t kRowsInALine = 1000;
constexpr std::size_t kPartBytes = 100'000;

json::array row_of(const Counted& counted) {
  static constexpr const char* kNames[] = {"blackhole", "drop", "limit"};
  const Rule& rule = counted.rule;
  json::array row;
  row.reserve(8);
  row.emplace_back(kNames[static_cast<int>(rule.action)]);
  row.emplace_back(to_string(rule.match.target));
  if (rule.match.protocol) {
    row.emplace_back(std::int64_t{*rule.match.protocol});
  } else {
    row.emplace_back(nullptr);
  }
  if (rule.match.ports) {
    row.emplace_back(std::int64_t{rule.match.ports->lower});
    row.emplace_back(std::int64_t{rule.match.ports->upper});
  } else {
    row.emplace_back(nullptr);
    row.emplace_back(nullptr);
  }
  row.emplace_back(rule.bytes_per_s);
  row.emplace_back(counted.counters.packets);
  row.emplace_back(counted.counters.bytes);
  return row;
}

class Answers {
 public:
  Answers(Channel& channel, std::int64_t id) : channel_(channel), id_(id) {}

  bool send(const std::string& error, json::object body = {}) {
    json::object answer;
    answer["id"] = id_;
    answer["ok"] = error.empty();
    if (!error.empty()) {
      answer["error"] = error;
    } else {
      for (auto& [key, value] : body) answer[key] = std::move(value);
    }
    return channel_.write_line(json::serialize(answer));
  }
  // A long list goes out in several lines; all but the last say that more follows.
  bool send_contents(const Contents& contents) {
    for (const CountedFilters& list : contents.filters) {
      if (!send_filters(list)) return false;
    }
    for (std::size_t at = 0; at + kRowsInALine < contents.rules.size(); at += kRowsInALine) {
      json::object part;
      part["id"] = id_;
      part["more"] = true;
      part["rules"] = rows(contents, at, at + kRowsInALine);
      if (!channel_.write_line(json::serialize(part))) return false;
    }
    const std::size_t last = contents.rules.empty() ? 0 : (contents.rules.size() - 1) / kRowsInALine * kRowsInALine;
    json::object body;
    body["rules"] = rows(contents, last, contents.rules.size());
    json::array foreign;
    for (const std::string& text : contents.foreign) foreign.emplace_back(text);
    body["foreign"] = std::move(foreign);
    return send({}, std::move(body));
  }

 private:
  // Names are only as long as they are: parts are cut by their size as well.
  bool send_filters(const CountedFilters& list) {
    std::size_t at = 0;
    do {
      json::array entries;
      for (std::size_t bytes = 0; at < list.memo.entries.size() && bytes < kPartBytes; ++at) {
        const auto& entry = list.memo.entries[at];
        bytes += entry.name.size() + 60;
        entries.push_back(json::array{entry.name, list.counters[at].packets, list.counters[at].bytes});
      }
      json::object filters;
      filters["key"] = json::array{list.memo.key[0], list.memo.key[1], list.memo.key[2]};
      filters["digest"] = list.memo.digest;
      filters["entries"] = std::move(entries);
      json::object part;
      part["id"] = id_;
      part["more"] = true;
      part["filters"] = std::move(filters);
      if (!channel_.write_line(json::serialize(part))) return false;
    } while (at < list.memo.entries.size());
    return true;
  }
  static json::array rows(const Contents& contents, std::size_t from, std::size_t to) {
    json::array out;
    for (std::size_t i = from; i < to; ++i) out.push_back(row_of(contents.rules[i]));
    return out;
  }
  Channel& channel_;
  std::int64_t id_;
};

struct Handler {
  Answers answers;
  Table& table;
  bool has_net_admin;

  bool operator()(const Ping&) {
    json::object body;
    body["net_admin"] = has_net_admin;
    return answers.send({}, std::move(body));
  }
  bool operator()(const Probe&) { return answers.send(table.probe()); }
  bool operator()(const Open&) { return answers.send(table.open()); }
  bool operator()(const Apply& apply) { return answers.send(table.apply(apply.changes)); }
  bool operator()(const ChangeFilters& filters) { return answers.send(table.filter(filters.changes)); }
  bool operator()(const Exempt& exempt) { return answers.send(table.exempt(exempt)); }
  bool operator()(const Clear&) { return answers.send(table.clear()); }
  bool operator()(const List&) {
    Contents contents;
    const std::string error = table.list(contents);
    return error.empty() ? answers.send_contents(contents) : answers.send(error);
  }
  bool operator()(const RemoveForeign&) {
    std::vector<std::string> removed;
    const std::string error = table.remove_foreign(removed);
    json::object body;
    json::array texts;
    for (const std::string& text : removed) texts.emplace_back(text);
    body["removed"] = std::move(texts);
    return answers.send(error, std::move(body));
  }
};

}  // namespace

int serve(Channel& channel, Table& table, bool has_net_admin) {
  std::string line;
  for (;;) {
    switch (channel.read_line(line)) {
      case Channel::Read::closed:
        return 0;
      case Channel::Read::too_long:
        Answers(channel, 0).send("a line of more than " + std::to_string(kMaxLineBytes) + " bytes");
        return 1;
      case Channel::Read::line:
        break;
    }
    Request request;
    std::string error;
    if (!parse_request(line, request, error)) {
      if (!Answers(channel, request.id).send(error)) return 0;
      continue;
    }
    if (!std::visit(Handler{Answers(channel, request.id), table, has_net_admin}, request.what)) return 0;
  }
}

}  // namespace nfthelper
