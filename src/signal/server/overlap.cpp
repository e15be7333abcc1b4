#include "signal/server/overlap.h"

#include <algorithm>
#include <iterator>

namespace dots::signal::server {
namespace {

std::vector<std::string> words_of(const model::MitigationScope& scope) {
  const model::MitigationScope plain = model::normalised(scope);
  std::vector<std::string> words;
  words.reserve(plain.target_fqdn.size() + plain.target_uri.size() + plain.alias_name.size());
  for (const std::string& name : plain.target_fqdn) words.push_back("name " + name);
  for (const std::string& uri : plain.target_uri) words.push_back("uri " + uri);
  for (const std::string& alias : plain.alias_name) words.push_back("alias " + alias);
  return words;
}

}  // namespace

void ScopeIndex::add(Number number, const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded) {
  for (const model::Prefix& prefix : expanded) prefixes_.insert(prefix, number);
  for (const std::string& word : words_of(scope)) words_[word].push_back(number);
}

void ScopeIndex::remove(Number number, const model::MitigationScope& scope,
                        const std::vector<model::Prefix>& expanded) {
  for (const model::Prefix& prefix : expanded) prefixes_.erase(prefix, number);
  for (const std::string& word : words_of(scope)) {
    const auto found = words_.find(word);
    if (found == words_.end()) continue;
    auto& numbers = found->second;
    numbers.erase(std::remove(numbers.begin(), numbers.end(), number), numbers.end());
    if (numbers.empty()) words_.erase(found);
  }
}

void ScopeIndex::visit(const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded,
                       const std::function<bool(Number)>& visit) const {
  const auto one = [&](const model::Prefix&, Number number) { return visit(number); };
  for (const model::Prefix& prefix : expanded) {
    if (!prefixes_.visit_overlapping(prefix, one)) return;
  }
  if (words_.empty()) return;
  for (const std::string& word : words_of(scope)) {
    const auto found = words_.find(word);
    if (found == words_.end()) continue;
    for (const Number number : found->second) {
      if (!visit(number)) return;
    }
  }
}

namespace {

std::vector<std::string> common_texts(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::string> common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
  return common;
}

}  // namespace

model::MitigationScope common_targets(const model::MitigationScope& a, const std::vector<model::Prefix>& expanded_a,
                                      const model::MitigationScope& b, const std::vector<model::Prefix>& expanded_b,
                                      std::size_t most) {
  model::MitigationScope common;
  std::vector<model::Prefix>& prefixes = common.target_prefix;
  for (const model::Prefix& mine : expanded_a) {
    for (const model::Prefix& theirs : expanded_b) {
      if (!mine.overlaps(theirs)) continue;
      const model::Prefix narrow = (mine.length >= theirs.length ? mine : theirs).masked();
      if (std::find(prefixes.begin(), prefixes.end(), narrow) != prefixes.end()) continue;
      if (prefixes.size() < most) prefixes.push_back(narrow);
    }
  }
  const model::MitigationScope plain_a = model::normalised(a);
  const model::MitigationScope plain_b = model::normalised(b);
  common.target_fqdn = common_texts(plain_a.target_fqdn, plain_b.target_fqdn);
  common.target_uri = common_texts(plain_a.target_uri, plain_b.target_uri);
  common.alias_name = common_texts(plain_a.alias_name, plain_b.alias_name);
  return common;
}

}  // namespace dots::signal::server
