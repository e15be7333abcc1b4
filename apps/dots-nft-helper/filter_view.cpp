// SPDX-License-Identifier: GPL-2.0-only
#include "filter_view.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <tuple>

namespace nfthelper {
namespace {

template <class T>
std::optional<T> number_in(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string group_name(const std::set<std::string>& domains) {
  std::uint64_t sum = 0xcbf29ce484222325;
  const auto octet = [&](unsigned char c) { sum = (sum ^ c) * 0x100000001b3; };
  for (const std::string& domain : domains) {
    for (std::size_t size = domain.size(), i = 0; i < sizeof size; ++i)
      octet(static_cast<unsigned char>(size >> (8 * i)));
    for (const char c : domain) octet(static_cast<unsigned char>(c));
  }
  std::string name = "tw_d";
  for (int shift = 60; shift >= 0; shift -= 4) name += "0123456789abcdef"[(sum >> shift) & 15];
  return name;
}

bool our_comment(FilterChainName::Kind kind, const std::string& comment) {
  switch (kind) {
    case FilterChainName::Kind::list:
      if (comment == "later") return true;
      [[fallthrough]];
    case FilterChainName::Kind::later:
      return comment.starts_with("e") && number_in<std::size_t>(std::string_view(comment).substr(1)).has_value();
    case FilterChainName::Kind::entry:
      return comment == "limit" || comment == "below4" || comment == "below6";
    case FilterChainName::Kind::group:
      return comment.starts_with("tw_f");
    case FilterChainName::Kind::memo:
      return !comment.empty();
  }
  return false;
}

}  // namespace

std::string list_chain(std::uint64_t number) { return "tw_f" + std::to_string(number); }
std::string entry_chain(std::uint64_t number, std::size_t index) {
  return list_chain(number) + "_e" + std::to_string(index);
}
std::string later_chain(std::uint64_t number) { return list_chain(number) + "_l"; }
std::string memo_chain(std::uint64_t number) { return list_chain(number) + "_m"; }

std::optional<FilterChainName> parse_filter_chain(const std::string& name) {
  using Kind = FilterChainName::Kind;
  const std::string_view text(name);
  if (text.starts_with("tw_d")) {
    const bool ours = text.size() >= 20 && text.find_first_not_of("0123456789abcdef", 4) == std::string_view::npos;
    return ours ? std::optional(FilterChainName{Kind::group, 0, 0}) : std::nullopt;
  }
  if (!text.starts_with("tw_f")) return std::nullopt;
  const auto underline = text.find('_', 4);
  const auto number = number_in<std::uint64_t>(text.substr(4, underline == text.npos ? text.npos : underline - 4));
  if (!number) return std::nullopt;
  FilterChainName out{Kind::list, *number, 0};
  if (underline != text.npos) {
    const auto rest = text.substr(underline);
    const auto index = rest.starts_with("_e") ? number_in<std::size_t>(rest.substr(2)) : std::nullopt;
    if (rest != "_m" && rest != "_l" && !index) return std::nullopt;
    out.kind = index ? Kind::entry : rest == "_l" ? Kind::later : Kind::memo;
    out.index = index.value_or(0);
  }
  // Only our own spelling is ours.
  const std::string again = out.kind == Kind::list    ? list_chain(*number)
                            : out.kind == Kind::later ? later_chain(*number)
                            : out.kind == Kind::entry ? entry_chain(*number, out.index)
                                                      : memo_chain(*number);
  return again == name ? std::optional(out) : std::nullopt;
}

FilterDispatch dispatch_of(const NumberedMemos& lists) {
  struct Domain {
    std::vector<std::pair<std::uint64_t, const FilterMemo*>> lists;
    std::vector<Prefix> all;
  };
  std::map<std::string, Domain> domains;
  for (const auto& [number, memo] : lists) {
    Domain& domain = domains[memo.key[0]];
    domain.lists.emplace_back(number, &memo);
    domain.all.insert(domain.all.end(), memo.whole.begin(), memo.whole.end());
  }
  std::map<Prefix, std::set<std::string>> owners;
  for (auto& [id, domain] : domains) {
    const auto order = [](const auto& one) { return std::tie(one.second->place, one.second->key, one.first); };
    std::sort(domain.lists.begin(), domain.lists.end(),
              [&](const auto& a, const auto& b) { return order(a) < order(b); });
    domain.all = maximal(std::move(domain.all));
    for (const Prefix& prefix : domain.all) owners[prefix].insert(id);
  }
  FilterDispatch out;
  std::map<std::set<std::string>, std::string> names;
  for (const auto& [prefix, ids] : owners) {
    auto [it, fresh] = names.try_emplace(ids);
    if (fresh) {
      it->second = group_name(ids);
      while (out.groups.contains(it->second)) it->second += '0';
      auto& jumps = out.groups[it->second];
      for (const std::string& id : ids) {
        for (const auto& [number, memo] : domains[id].lists) {
          const std::string chain = list_chain(number);
          if (!memo->gated || memo->whole == domains[id].all) {
            jumps.push_back({chain, "jump " + chain, number});
            continue;
          }
          for (const Prefix& gate : memo->whole) {
            const std::string ip = gate.address.family == Family::v4 ? "ip" : "ip6";
            jumps.push_back(
                {chain + " " + to_string(gate), ip + " daddr " + to_string(gate) + " jump " + chain, number});
          }
        }
      }
    }
    out.elements[prefix] = it->second;
  }
  return out;
}

std::optional<std::uint64_t> over_gated(const FilterDispatch& dispatch) {
  for (const auto& [group, jumps] : dispatch.groups) {
    std::map<std::uint64_t, std::size_t> gates;
    for (const auto& jump : jumps) {
      if (++gates[jump.number] > kMaxFilterGates) return jump.number;
    }
  }
  return std::nullopt;
}

FilterView::FilterView(const Netlink::Objects& objects, const FilterElements& found, const std::set<SetName>& wired)
    : elements(found) {
  std::map<std::string, FilterChainName> names;
  std::map<std::string, std::vector<const Netlink::RuleText*>> rows;
  std::set<std::uint64_t> numbers;
  for (const auto& chain : objects.chains) {
    const auto name = parse_filter_chain(chain.name);
    if (!name) continue;
    names.emplace(chain.name, *name);
    rows[chain.name];
    if (name->kind != FilterChainName::Kind::group) numbers.insert(name->number);
  }
  for (const auto& rule : objects.rules) {
    const auto name = names.find(rule.chain);
    if (name == names.end()) continue;
    rows[rule.chain].push_back(&rule);
    if (our_comment(name->second.kind, rule.comment)) continue;
    foreign.push_back("rule in chain " + rule.chain + ", handle " + std::to_string(rule.handle));
    removals.push_back(rule.chain + " handle " + std::to_string(rule.handle));
  }
  for (const auto& [chain, rules] : rows) {
    auto& comments = chains[chain];
    for (const auto* rule : rules) comments.push_back(rule->comment);
  }
  for (const std::uint64_t number : numbers) read_list(number, rows);
  read_dispatch(wired);
}

void FilterView::read_list(std::uint64_t number,
                           const std::map<std::string, std::vector<const Netlink::RuleText*>>& rows) {
  const auto comments = [&](const std::string& chain) {
    const auto it = chains.find(chain);
    return it == chains.end() ? std::vector<std::string>{} : it->second;
  };
  const auto altered = [&] {
    foreign.push_back("chain " + list_chain(number) + ", a list of filters that was altered");
  };
  const auto memo = from_comments(comments(memo_chain(number)));
  const auto list = rows.find(list_chain(number));
  if (!memo || list == rows.end()) return altered();
  std::vector<Counters> counts(memo->entries.size());
  const auto add = [](Counters& to, const Counters& from) {
    to.packets += from.packets;
    to.bytes += from.bytes;
  };
  std::vector<std::string> main, later;
  if (memo->later) main.insert(main.end(), 2, "later");
  std::size_t limits = 0;
  for (std::size_t i = 0; i < memo->entries.size(); ++i) {
    const auto& entry = memo->entries[i];
    main.insert(main.end(), entry.rules, "e" + std::to_string(i));
    later.insert(later.end(), entry.later, "e" + std::to_string(i));
    limits += entry.action == FilterAction::limit ? 1 : 0;
  }
  if (comments(list_chain(number)) != main || comments(later_chain(number)) != later ||
      rows.contains(later_chain(number)) != memo->later) {
    return altered();
  }
  auto rule = list->second.begin() + (memo->later ? 2 : 0);
  static const std::vector<const Netlink::RuleText*> kNone;
  const auto others = rows.find(later_chain(number));
  auto other = others == rows.end() ? kNone.begin() : others->second.begin();
  for (std::size_t i = 0; i < memo->entries.size(); ++i) {
    const auto& entry = memo->entries[i];
    for (std::size_t n = 0; n < entry.rules; ++n) add(counts[i], (*rule++)->counters);
    for (std::size_t n = 0; n < entry.later; ++n) add(counts[i], (*other++)->counters);
    if (entry.action != FilterAction::limit) continue;
    const std::string chain = entry_chain(number, i);
    if (comments(chain) != std::vector<std::string>{"limit", "below4", "below6"}) return altered();
    add(counts[i], rows.at(chain).front()->counters);
  }
  const std::string start = list_chain(number) + "_e";
  std::size_t seen = 0;
  for (auto it = rows.lower_bound(start); it != rows.end() && it->first.starts_with(start); ++it) ++seen;
  if (seen != limits) return altered();
  lists.emplace(number, *memo);
  counters.emplace(number, std::move(counts));
}

void FilterView::read_dispatch(const std::set<SetName>& wired) {
  const FilterDispatch wanted = dispatch_of(lists);
  std::set<std::string> right;
  for (const auto& [group, jumps] : wanted.groups) {
    const auto found = chains.find(group);
    if (found == chains.end()) continue;
    if (std::equal(jumps.begin(), jumps.end(), found->second.begin(), found->second.end(),
                   [](const auto& jump, const auto& comment) { return jump.comment == comment; })) {
      right.insert(group);
    }
  }
  for (const auto& [chain, comments] : chains) {
    if (parse_filter_chain(chain)->kind == FilterChainName::Kind::group && !wanted.groups.contains(chain)) {
      foreign.push_back("chain " + chain);
    }
  }
  std::set<std::uint64_t> missed;
  for (const auto& [prefix, group] : wanted.elements) {
    const auto found = elements.find(prefix);
    if (found != elements.end() && found->second == group && right.contains(group) &&
        wired.contains(filter_map(prefix))) {
      continue;
    }
    for (const auto& jump : wanted.groups.at(group)) missed.insert(jump.number);
  }
  for (const auto& [prefix, chain] : elements) {
    const auto right_group = wanted.elements.find(prefix);
    if (right_group == wanted.elements.end()) foreign.push_back("element of map " + to_string(filter_map(prefix)));
    if (right_group == wanted.elements.end() || right_group->second != chain) astray.push_back(prefix);
  }
  for (const auto& [number, memo] : lists) {
    if (!missed.contains(number)) reached.insert(number);
  }
}

}  // namespace nfthelper
