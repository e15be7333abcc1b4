// Filter control: a mitigation request that switches filters of its client (RFC 9133 3.2.1;
// docs/decisions/filter-control.md).
#include <algorithm>

#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;

constexpr std::uint32_t kFiltersRetryS = 30;  // a list that cannot be switched now needs the hand of somebody
constexpr std::size_t kNewsKept = 256;        // lists that the server has switched; the oldest is forgotten

}  // namespace

bool Machine::may_switch(const PutMitigation& put, const Origins& origins, base::Now now) {
  const auto& list = put.request.acl_list;
  if (list.empty()) return true;
  // What asks for a mitigation at once begins the attack time by itself, unless the operator wants it strict.
  const bool idle = !mitigating(put.cuid) && (limits_.filters_only_when_mitigating || !put.request.trigger_mitigation);
  if (idle) {
    refuse(put, origins,
           refused(ResponseCode::bad_request, "acl-list in idle time: filters are controlled while a mitigation runs",
                   model::RefusalReason::policy),
           "it would switch filters, and no mitigation of its client runs", "use the data channel", now);
    return false;
  }
  for (const model::AclActivation& acl : list) {
    if (data_channel_.activation && data_channel_.activation(put.origin.client, put.cuid, acl.acl_name)) continue;
    refuse(put, origins,
           refused(ResponseCode::not_found, "acl-name '" + acl.acl_name + "' is not known for this client"),
           "the client has made no filter '" + acl.acl_name + "'", "it is made on the data channel", now);
    return false;
  }
  return true;
}

bool Machine::switch_filters(const PutMitigation& put, const Origins& origins, base::Now now) {
  if (put.request.acl_list.empty()) return true;
  const std::string why = "with mid=" + std::to_string(put.mid.value);
  if (auto failure = data_channel_.activate(put.cuid, put.request.acl_list, why, now)) {
    Answer answer = unavailable({}, kFiltersRetryS);
    model::MitigationEntry entry;
    entry.mid = put.mid;
    entry.acl_list = std::move(failure->failed);
    answer.entries.push_back(std::move(entry));
    refuse(put, origins, answer, "its filters cannot be switched: " + failure->reason,
           "the client may ask without them, and change them on the data channel", now);
    return false;
  }
  // What the client says itself is no news to it.
  if (const auto state = cuids_.find(put.cuid); state != cuids_.end()) {
    for (const auto& acl : put.request.acl_list) state->second.filter_news.erase(acl.acl_name);
  }
  return true;
}

void Machine::on_event(const FiltersChanged& changes, base::Now now) {
  const auto found = cuids_.find(changes.cuid);
  if (found == cuids_.end()) return;
  CuidState& state = found->second;
  if (!mitigating(changes.cuid)) return state.filter_news.clear();
  for (const model::AclActivation& acl : changes.acl_list) {
    state.filter_news[acl.acl_name] = {acl.type, next_number_++};
    if (state.filter_news.size() <= kNewsKept) continue;
    state.filter_news.erase(
        std::min_element(state.filter_news.begin(), state.filter_news.end(),
                         [](const auto& a, const auto& b) { return a.second.number < b.second.number; }));
  }
  for (const auto& [mid, mitigation] : state.mitigations) {
    if (mitigation.has_rules()) changed(mitigation.key(), now);
  }
}

void Machine::add_filter_news(Answer& answer, const base::Cuid& cuid, std::uint64_t& told) const {
  const auto found = cuids_.find(cuid);
  if (answer.code != ResponseCode::content || found == cuids_.end() || found->second.filter_news.empty()) return;
  const CuidState& state = found->second;
  // One entry says it: the newest that is active.
  const auto entry = std::find_if(answer.entries.rbegin(), answer.entries.rend(), [&](const auto& one) {
    const auto mitigation = one.mid ? state.mitigations.find(*one.mid) : state.mitigations.end();
    return mitigation != state.mitigations.end() && mitigation->second.has_rules();
  });
  if (entry == answer.entries.rend()) return;
  const std::uint64_t since = told;
  for (const auto& [name, news] : state.filter_news) {
    if (news.number <= since) continue;
    entry->acl_list.push_back({name, news.type});
    told = std::max(told, news.number);
  }
}

}  // namespace dots::signal::server
