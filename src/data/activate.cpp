// Lists that are switched over the signal channel (RFC 9133 3.2.1).
#include <algorithm>
#include <cassert>

#include "data/machine.h"

namespace dots::data {
namespace {

// Of one line in the audit log.
constexpr std::size_t kSwitchesNamed = 16;

// The text of a list as print_config() writes it, with another type, and without reading its entries. A quote inside a
// value is escaped there, so that no value holds what is looked for.
std::string with_activation(std::string body, model::ActivationType type) {
  constexpr std::string_view kLeaf = ",\"activation-type\":\"";
  const std::string leaf = std::string(kLeaf) + std::string(model::name_of(type)) + "\"";
  if (const auto at = body.find(kLeaf); at != std::string::npos) {
    return body.replace(at, body.find('"', at + kLeaf.size()) + 1 - at, leaf);
  }
  return body.insert(std::min(body.find(",\"aces\":{"), body.rfind('}')), leaf);
}

}  // namespace

Checked<void> Domain::State::check_activation(const model::Filter& filter, model::ActivationType type) const {
  if (type == model::ActivationType::deactivate) return {};
  if (type == model::ActivationType::immediate) {
    for (const model::FilterEntry& entry : filter.entries) {
      if (!may_be_immediate(entry, options.filter_rules)) {
        return fault::missing("an entry of an immediate list needs a destination prefix", "/aces");
      }
    }
  }
  return check_targets(filter, {});
}

std::optional<model::ActivationType> Domain::activation(const base::ClientId& client, const base::Cuid& cuid,
                                                        const std::string& acl) const {
  const auto known = state_->clients.find(cuid);
  if (known == state_->clients.end() || known->second.record.client != client) return std::nullopt;
  const Entry* entry = known->second.acls.find(acl);
  if (entry == nullptr) return std::nullopt;
  return entry->filter->activation;
}

base::Result<Outcome, ActivationFailure> Domain::activate(const base::Cuid& cuid,
                                                          const std::vector<model::AclActivation>& acl_list,
                                                          const std::string& why, base::Now now) {
  State& state = *state_;
  const auto client = state.clients.find(cuid);
  assert(client != state.clients.end());
  Work work;
  work.cuid = cuid;
  ActivationFailure failure;
  for (const model::AclActivation& acl : acl_list) {
    const Entry* entry = client->second.acls.find(acl.acl_name);
    assert(entry != nullptr);
    if (const auto good = state.check_activation(*entry->filter, acl.type); !good) {
      if (failure.failed.empty()) failure.reason = "acl '" + acl.acl_name + "': " + good.error().message;
      failure.failed.push_back(acl);
      continue;
    }
    if (work.put.size() < kSwitchesNamed) {
      work.text +=
          "acl '" + acl.acl_name + "' " + std::string(model::name_of(acl.type)) +
          (entry->filter->activation == acl.type ? " as before"
                                                 : ", was " + std::string(model::name_of(entry->filter->activation))) +
          "; ";
    }
    Draft draft;
    draft.kind = Kind::acl;
    draft.name = acl.acl_name;
    draft.body = with_activation(entry->record.body, acl.type);
    draft.filter = entry->filter;
    draft.same_entries = true;
    if (entry->filter->activation != acl.type) {
      auto filter = std::make_shared<model::Filter>(*entry->filter);
      filter->activation = acl.type;
      draft.filter = std::move(filter);
    }
    work.put.push_back(std::move(draft));
  }
  if (!failure.failed.empty()) return failure;
  if (work.put.size() > kSwitchesNamed) {
    work.text += std::to_string(work.put.size() - kSwitchesNamed) + " more; ";
  }
  work.text += why;
  Outcome outcome;
  state.apply(work, "client " + client->second.record.client.value, "activate", now, outcome);
  outcome.activations.clear();
  return outcome;
}

}  // namespace dots::data
