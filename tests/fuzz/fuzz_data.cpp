// Requests to the data channel, parted by lines of "---": "METHOD target", fields, an empty line, the body. Whatever
// comes, every answer is well formed, a refusal changes nothing, and the store alone tells the same as the machine.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "data/domain.h"
#include "wire/json_value.h"

namespace {

using namespace dots;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

struct Store {
  std::map<base::Cuid, ports::DataClientRecord> clients;
  std::map<ports::DataEntryKey, ports::DataEntryRecord> entries;

  void move(const ports::DataEntryKey& key, const ports::DataVersion& version) {
    auto& record = clients.at(key.cuid);
    for (auto* moved : {&record.version, key.kind == ports::DataEntryKind::alias ? &record.aliases : &record.acls}) {
      if (moved->revision < version.revision) *moved = version;
    }
  }
  void apply(const ports::Change& change) {
    if (const auto* put = std::get_if<ports::PutDataClient>(&change)) clients[put->record.cuid] = put->record;
    if (const auto* gone = std::get_if<ports::EraseDataClient>(&change)) {
      clients.erase(gone->cuid);
      std::erase_if(entries, [&](const auto& entry) { return entry.first.cuid == gone->cuid; });
    }
    if (const auto* put = std::get_if<ports::PutDataEntry>(&change)) {
      entries[put->record.key] = put->record;
      move(put->record.key, put->record.version);
    }
    if (const auto* erased = std::get_if<ports::EraseDataEntry>(&change)) {
      entries.erase(erased->key);
      move(erased->key, erased->version);
    }
  }
  ports::Snapshot snapshot() const {
    ports::Snapshot all;
    for (const auto& [cuid, record] : clients) all.data_clients.push_back(record);
    for (const auto& [key, record] : entries) all.data_entries.push_back(record);
    return all;
  }
};

std::shared_ptr<const policy::DomainRules> rules() {
  static const auto shared = [] {
    policy::DomainPolicy policy;
    policy.id = base::DomainId("d");
    policy.clients = {{base::ClientId("c"), {}, {}}};
    for (const char* prefix : {"198.51.100.0/24", "2001:db8::/32"})
      policy.prefixes.push_back(*model::parse_prefix(prefix));
    policy.names = {"example.net"};
    return std::make_shared<const policy::DomainRules>(policy);
  }();
  return shared;
}

ports::HttpRequest request_in(std::string_view text) {
  const auto line = [&] {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view found = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return found;
  };
  ports::HttpRequest request;
  const std::string_view first = line();
  const std::size_t space = std::min(first.find(' '), first.size());
  request.method = first.substr(0, space);
  request.target = first.substr(std::min(space + 1, first.size()));
  if (request.target.empty()) request.target = "/";
  for (std::string_view field = line(); !field.empty(); field = line()) {
    const std::size_t colon = std::min(field.find(": "), field.size());
    request.headers.add(std::string(field.substr(0, colon)),
                        std::string(field.substr(std::min(colon + 2, field.size()))));
  }
  if (!request.headers.has("Content-Type")) request.headers.add("Content-Type", "application/yang-data+json");
  request.body = text;
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  data::Options options;
  options.capabilities = data::Capabilities::everything();
  options.own_names = {"own.example.net"};
  data::Domain domain(rules(), options);
  const base::Now now{base::SteadyTime{std::chrono::hours{1}}, base::from_unix_seconds(1'800'000'000)};
  const data::Asker asker{base::ClientId("c"), false};
  Store store;
  const auto look = [&](data::Domain& at) { return at.request({"GET", "/restconf/data", {}, {}}, asker, now).answer; };

  std::string_view rest = base::as_text({data, size});
  for (int round = 0; round < 16 && !rest.empty(); ++round) {
    const std::size_t end = std::min(rest.find("\n---\n"), rest.size());
    const data::Outcome outcome = domain.request(request_in(rest.substr(0, end)), asker, now);
    rest.remove_prefix(std::min(end + 5, rest.size()));
    const int status = outcome.answer.status;
    require(status >= 200 && status < 600 && status != 500, "no such status should be");
    require(outcome.answer.headers.has("Cache-Control"), "Cache-Control is missing");
    require(status < 400 || outcome.changes.empty(), "a refused request has changes");
    if (outcome.answer.headers.has("Content-Type") &&
        *outcome.answer.headers.find("Content-Type") != "application/xrd+xml") {
      require(wire::parse_json(outcome.answer.body).ok(), "an answer is not JSON");
    }
    for (const ports::Change& change : outcome.changes) store.apply(change);
  }
  data::Domain again(rules(), options);
  require(again.load(store.snapshot(), now).empty(), "the store holds what cannot be read");
  const auto before = look(domain);
  const auto after = look(again);
  require(before.body == after.body, "a restart changes what is shown");
  domain.tick(now + std::chrono::minutes{10080});
  return 0;
}
