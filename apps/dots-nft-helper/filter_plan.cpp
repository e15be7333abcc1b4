// SPDX-License-Identifier: GPL-2.0-only
#include "filter_plan.h"

#include <algorithm>

namespace nfthelper {
namespace {

// What a limit lets through at once, besides what it gathered in a second: a packet of common size must fit through
// the narrowest.
constexpr const char* kBurst = "burst 1500 bytes";

std::string map_element(const std::string& at, const Prefix& prefix) {
  return at + to_string(filter_map(prefix)) + " { " + to_string(prefix.address);
}

}  // namespace

ComposedList compose(const std::string& table, std::uint64_t number, const FilterList& list, std::string& error) {
  const std::string at = "inet " + table + " ";
  const std::string chain = list_chain(number);
  ComposedList out;
  out.memo.key = list.key;
  out.memo.place = list.place;
  out.memo.digest = list.digest;
  for (const auto& destinations : list.destinations) {
    out.memo.whole.insert(out.memo.whole.end(), destinations.begin(), destinations.end());
  }
  out.memo.whole = maximal(std::move(out.memo.whole));
  std::string entries, rules, later;
  for (std::size_t i = 0; i < list.entries.size(); ++i) {
    const FilterEntry& entry = list.entries[i];
    const auto texts = match_texts(entry.match, list.destinations[entry.to], out.memo.whole, out.memo.gated);
    if (texts.size() > kMaxFilterRulesOfAnEntry) {
      error = to_string(list.key) + ": entry '" + entry.name + "': it takes " + std::to_string(texts.size()) +
              " rules for its destinations, more than " + std::to_string(kMaxFilterRulesOfAnEntry);
      return out;
    }
    auto& memo = out.memo.entries.emplace_back(FilterMemo::Entry{entry.name, entry.action, texts.size(), 0});
    std::string verdict = entry.action == FilterAction::accept ? "counter accept" : "counter drop";
    if (entry.action == FilterAction::limit) {
      const std::string own = entry_chain(number, i);
      verdict = "goto " + own;
      entries += "add chain " + at + own + "\n";
      // After the limit, which breaks off below its rate: only what is dropped is counted.
      entries += "add rule " + at + own + " limit rate over " + std::to_string(entry.bytes_per_s) + " bytes/second " +
                 kBurst + " counter drop comment \"limit\"\n";
      entries += "add rule " + at + own + " meta nfproto ipv4 goto tw_rules4 comment \"below4\"\n";
      entries += "add rule " + at + own + " meta nfproto ipv6 goto tw_rules6 comment \"below6\"\n";
    }
    const std::string end = verdict + " comment \"e" + std::to_string(i) + "\"\n";
    for (const MatchText& match : texts) {
      rules += "add rule " + at + chain + " " + match.text + end;
      if (match.transport) {
        out.memo.later = true;
        continue;
      }
      ++memo.later;
      later += "add rule " + at + later_chain(number) + " " + match.text + end;
    }
  }
  const std::string memo = memo_chain(number);
  out.commands = "add chain " + at + chain + "\n" + "add chain " + at + memo + "\n" + entries;
  if (out.memo.later) {
    out.commands += "add chain " + at + later_chain(number) + "\n" + later;
    for (const char* test : {"ip frag-off & 0x1fff != 0", "frag frag-off != 0"}) {
      out.commands += "add rule " + at + chain + " " + test + " goto " + later_chain(number) + " comment \"later\"\n";
    }
  } else {
    for (auto& entry : out.memo.entries) entry.later = 0;
  }
  out.commands += rules;
  for (const std::string& comment : to_comments(out.memo)) {
    out.commands += "add rule " + at + memo + " return comment \"" + comment + "\"\n";
  }
  return out;
}

std::string plan(const std::string& table, const FilterView& view, const NumberedMemos& keep,
                 const std::map<std::uint64_t, ComposedList>& fresh) {
  const std::string at = "inet " + table + " ";
  NumberedMemos all = keep;
  std::string text;
  for (const auto& [number, list] : fresh) {
    all.emplace(number, list.memo);
    text += list.commands;
  }
  const FilterDispatch wanted = dispatch_of(all);
  for (const auto& [group, jumps] : wanted.groups) {
    const auto found = view.chains.find(group);
    const bool there = found != view.chains.end();
    if (there && std::equal(jumps.begin(), jumps.end(), found->second.begin(), found->second.end(),
                            [](const auto& jump, const auto& comment) { return jump.comment == comment; })) {
      continue;
    }
    text += (there ? "flush chain " : "add chain ") + at + group + "\n";
    for (const auto& jump : jumps) {
      text += "add rule " + at + group + " " + jump.text + " comment \"" + jump.comment + "\"\n";
    }
  }
  for (const auto& [prefix, group] : view.elements) {
    const auto now = wanted.elements.find(prefix);
    if (now == wanted.elements.end() || now->second != group) {
      text += "delete element " + map_element(at, prefix) + " }\n";
    }
  }
  for (const auto& [prefix, group] : wanted.elements) {
    const auto found = view.elements.find(prefix);
    if (found == view.elements.end() || found->second != group) {
      text += "add element " + map_element(at, prefix) + " : jump " + group + " }\n";
    }
  }
  std::string flushes, deletions;
  for (const auto& [chain, comments] : view.chains) {
    const auto name = *parse_filter_chain(chain);
    const bool stays =
        name.kind == FilterChainName::Kind::group ? wanted.groups.contains(chain) : keep.contains(name.number);
    if (stays) continue;
    flushes += "flush chain " + at + chain + "\n";
    deletions += "delete chain " + at + chain + "\n";
  }
  return text + flushes + deletions;
}

}  // namespace nfthelper
