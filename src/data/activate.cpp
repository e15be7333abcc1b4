// Lists that are switched over the signal channel (RFC 9133 3.2.1).
#include <cassert>

#include "data/machine.h"
#include "data/reading.h"

namespace dots::data {
namespace {

// Of one line in the audit log.
constexpr std::size_t kSwitchesNamed = 16;

void set_activation(Instance& acl, model::ActivationType type) {
  Instance* leaf = acl.find(NodeId::activation_type);
  if (leaf == nullptr) leaf = &acl.add(NodeId::activation_type);
  leaf->value = std::string(model::name_of(type));
}

}  // namespace

Checked<void> Domain::State::check_activation(Draft& draft, model::ActivationType type) const {
  sort_children(draft.config);
  draft.name = keys_of(draft.config).front();
  draft.body = print_config(draft.config);
  if (type != model::ActivationType::deactivate) return check_acl(draft, {});
  auto filter = to_filter(draft.config, {}, options.filter_rules);
  if (!filter) return filter.error();
  draft.matches = matches_of(draft.config);
  draft.filter = std::make_shared<const model::Filter>(std::move(*filter));
  return {};
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
    Draft draft{Kind::acl, State::config_of(*entry), {}};
    set_activation(draft.config, acl.type);
    if (const auto good = state.check_activation(draft, acl.type); !good) {
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
