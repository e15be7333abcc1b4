#include "signal/server/overlap.h"

#include <algorithm>

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

void ScopeIndex::add(base::Mid mid, const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded) {
  for (const model::Prefix& prefix : expanded) prefixes_.insert(prefix, mid);
  for (const std::string& word : words_of(scope)) words_[word].push_back(mid);
}

void ScopeIndex::remove(base::Mid mid, const model::MitigationScope& scope,
                        const std::vector<model::Prefix>& expanded) {
  for (const model::Prefix& prefix : expanded) prefixes_.erase(prefix, mid);
  for (const std::string& word : words_of(scope)) {
    const auto found = words_.find(word);
    if (found == words_.end()) continue;
    auto& mids = found->second;
    mids.erase(std::remove(mids.begin(), mids.end(), mid), mids.end());
    if (mids.empty()) words_.erase(found);
  }
}

void ScopeIndex::visit(const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded,
                       const std::function<bool(base::Mid)>& visit) const {
  const auto one = [&](const model::Prefix&, base::Mid mid) { return visit(mid); };
  for (const model::Prefix& prefix : expanded) {
    if (!prefixes_.visit_overlapping(prefix, one)) return;
  }
  if (words_.empty()) return;
  for (const std::string& word : words_of(scope)) {
    const auto found = words_.find(word);
    if (found == words_.end()) continue;
    for (const base::Mid mid : found->second) {
      if (!visit(mid)) return;
    }
  }
}

}  // namespace dots::signal::server
