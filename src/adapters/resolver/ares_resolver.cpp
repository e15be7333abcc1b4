#include "adapters/resolver/ares_resolver.h"

#include <ares.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "adapters/resolver/hosts_file.h"

namespace dots::adapters::resolver {
namespace {

using ports::Resolution;

constexpr int kClassIn = 1;
constexpr int kTypeA = 1;
constexpr int kTypeAaaa = 28;
constexpr const char* kStopping = "the resolver is stopping";
constexpr int kMaxAddresses = 64;        // of one family
constexpr int kEdnsBytes = 1232;         // fits every path without fragments
constexpr std::uint32_t kDownAfter = 3;  // look-ups in a row without any answer

// How one family of one look-up went.
struct FamilyAnswer {
  enum class State : std::uint8_t { waiting, found, none, no_such_name, failed } state = State::waiting;
  std::vector<model::IpAddress> addresses;
  int ttl_s = 0;
  std::string reason;
};

// What a host name may consist of; everything else (among it the escapes of c-ares) is never sent.
bool is_host_name(const std::string& name) {
  if (name.empty() || name.size() > 254) return false;
  std::size_t label = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    const bool allowed =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!allowed || ++label > 63) return false;
  }
  return true;
}

template <class Ttl>
void take_addresses(FamilyAnswer& answer, const std::array<Ttl, kMaxAddresses>& found, int count,
                    model::Family family) {
  for (int i = 0; i < count; ++i) {
    const auto& one = found[static_cast<std::size_t>(i)];
    model::IpAddress address;
    address.family = family;
    if constexpr (std::is_same_v<Ttl, ares_addrttl>) {
      std::memcpy(address.bytes.data(), &one.ipaddr, 4);
    } else {
      std::memcpy(address.bytes.data(), &one.ip6addr, 16);
    }
    answer.addresses.push_back(address);
    answer.ttl_s = i == 0 ? one.ttl : std::min(answer.ttl_s, one.ttl);
  }
}

FamilyAnswer read_answer(int status, unsigned char* bytes, int size, int type) {
  FamilyAnswer answer;
  if (status == ARES_SUCCESS) {
    int count = kMaxAddresses;
    if (type == kTypeA) {
      std::array<ares_addrttl, kMaxAddresses> found{};
      status = ares_parse_a_reply(bytes, size, nullptr, found.data(), &count);
      if (status == ARES_SUCCESS) take_addresses(answer, found, count, model::Family::ipv4);
    } else {
      std::array<ares_addr6ttl, kMaxAddresses> found{};
      status = ares_parse_aaaa_reply(bytes, size, nullptr, found.data(), &count);
      if (status == ARES_SUCCESS) take_addresses(answer, found, count, model::Family::ipv6);
    }
  }
  switch (status) {
    case ARES_SUCCESS:
      answer.state = answer.addresses.empty() ? FamilyAnswer::State::none : FamilyAnswer::State::found;
      break;
    case ARES_ENODATA:
      answer.state = FamilyAnswer::State::none;
      break;
    case ARES_ENOTFOUND:
      answer.state = FamilyAnswer::State::no_such_name;
      break;
    default:
      answer.state = FamilyAnswer::State::failed;
      answer.reason = status == ARES_ECANCELLED || status == ARES_EDESTRUCTION
                          ? kStopping
                          : std::string(type == kTypeA ? "A: " : "AAAA: ") + ares_strerror(status);
  }
  return answer;
}

}  // namespace

struct AresResolver::State {
  State(ResolverOptions o, ops::facts::Sink* sink) : options(std::move(o)), facts(sink) {}

  struct Request {
    std::string name;
    std::function<void(Resolution)> done;
    bool over_the_bound = false;
  };
  struct Lookup;
  // What c-ares carries as its argument for one of the two queries.
  struct Query {
    Lookup* lookup = nullptr;
    int type = 0;
    FamilyAnswer answer;
  };
  struct Lookup {
    State* state = nullptr;
    Request request;
    Query a, aaaa;
    int open = 2;
  };

  ResolverOptions options;
  ops::facts::Sink* facts;
  int wake_fd = -1;
  std::thread thread;

  std::mutex mutex;
  std::deque<Request> requests;  // guarded by mutex
  std::size_t pending = 0;       // guarded by mutex: accepted and not answered
  bool stopping = false;         // guarded by mutex

  // The resolver thread's own.
  ares_channel channel = nullptr;
  std::map<ares_socket_t, short> sockets;  // poll events by socket
  std::size_t queries = 0;
  std::uint32_t unanswered = 0;  // look-ups in a row
  bool down = false;
  std::optional<std::pair<std::int64_t, std::int64_t>> system_version;  // of resolv.conf: time and size

  base::Result<void> open_channel();
  void follow_system();
  void run();
  bool take_requests();
  void begin(Request request);
  void wait_and_process();
  void finish(Lookup* lookup);
  void answer(Request& request, Resolution resolution);
  void note_health(bool heard, const std::string& reason);
  base::Duration clamped_ttl(int ttl_s) const;

  static void on_answer(void* argument, int status, int timeouts, unsigned char* bytes, int size);
  static void on_socket(void* argument, ares_socket_t socket, int readable, int writable);
};

// ---- starting and stopping ----------------------------------------------------------------------------------------

base::Result<std::unique_ptr<AresResolver>> AresResolver::start(ResolverOptions options, ops::facts::Sink* facts) {
  static std::once_flag initialised;
  std::call_once(initialised, [] { ares_library_init(ARES_LIB_INIT_ALL); });
  auto state = std::make_unique<State>(std::move(options), facts);
  state->wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (state->wake_fd < 0) return base::Error{std::string("cannot start the resolver: ") + std::strerror(errno)};
  auto resolver = std::unique_ptr<AresResolver>(new AresResolver(std::move(state)));
  if (auto opened = resolver->state_->open_channel(); !opened) return opened.error();
  resolver->state_->follow_system();
  resolver->state_->thread = std::thread([s = resolver->state_.get()] { s->run(); });
  return resolver;
}

AresResolver::AresResolver(std::unique_ptr<State> state) : state_(std::move(state)) {}

AresResolver::~AresResolver() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  ::eventfd_write(state_->wake_fd, 1);
  if (state_->thread.joinable()) state_->thread.join();
  if (state_->channel != nullptr) ares_destroy(state_->channel);
  ::close(state_->wake_fd);
}

base::Result<void> AresResolver::State::open_channel() {
  if (channel != nullptr) ares_destroy(channel);
  channel = nullptr;
  sockets.clear();
  ares_options settings{};
  settings.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS;
  settings.timeout = static_cast<int>(options.timeout_ms);
  settings.tries = static_cast<int>(options.tries);
  settings.ednspsz = kEdnsBytes;
  settings.sock_state_cb = &State::on_socket;
  settings.sock_state_cb_data = this;
  const int status = ares_init_options(&channel, &settings,
                                       ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
                                           ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE);
  if (status != ARES_SUCCESS) {
    channel = nullptr;
    return base::Error{std::string("cannot start the resolver: ") + ares_strerror(status)};
  }
  if (options.servers.empty()) return {};
  std::string list;
  for (const auto& server : options.servers) list += (list.empty() ? "" : ",") + server;
  if (ares_set_servers_ports_csv(channel, list.c_str()) != ARES_SUCCESS) {
    return base::Error{"resolver.servers: '" + list +
                       "' is no list of name servers; write addresses such as '192.0.2.53', '192.0.2.53:5353' or "
                       "'[2001:db8::53]:53'"};
  }
  return {};
}

// c-ares reads the system's list of servers once; a machine that moves gets another one.
void AresResolver::State::follow_system() {
  if (!options.servers.empty() || queries > 0) return;
  struct stat facts_of {};
  if (::stat("/etc/resolv.conf", &facts_of) != 0) return;
  const std::pair<std::int64_t, std::int64_t> version{
      static_cast<std::int64_t>(facts_of.st_mtim.tv_sec) * 1'000'000'000 + facts_of.st_mtim.tv_nsec, facts_of.st_size};
  if (system_version && *system_version != version && !open_channel()) return;
  system_version = version;
}

// ---- any thread ---------------------------------------------------------------------------------------------------

void AresResolver::resolve(const std::string& name, std::function<void(Resolution)> done) {
  {
    const std::lock_guard lock(state_->mutex);
    const bool over = state_->pending >= state_->options.pending;
    if (!over) ++state_->pending;
    state_->requests.push_back({name, std::move(done), over});
  }
  ::eventfd_write(state_->wake_fd, 1);
}

// ---- the resolver's thread ----------------------------------------------------------------------------------------

void AresResolver::State::run() {
  while (take_requests()) wait_and_process();
  if (channel != nullptr) ares_cancel(channel);
  // an answer may have asked for another name
  while (true) {
    std::deque<Request> late;
    {
      const std::lock_guard lock(mutex);
      late.swap(requests);
    }
    if (late.empty()) return;
    for (auto& request : late) {
      answer(request, {request.name, Resolution::Outcome::failed, {}, {}, kStopping});
    }
  }
}

// False when it is time to stop.
bool AresResolver::State::take_requests() {
  std::deque<Request> fresh;
  {
    const std::lock_guard lock(mutex);
    if (stopping) return false;
    fresh.swap(requests);
  }
  if (!fresh.empty()) follow_system();
  for (auto& request : fresh) begin(std::move(request));
  return true;
}

void AresResolver::State::begin(Request request) {
  Resolution resolution{request.name, Resolution::Outcome::failed, {}, {}, {}};
  if (request.over_the_bound) {
    resolution.reason = "more than " + std::to_string(options.pending) + " names wait for their answer";
    return answer(request, std::move(resolution));
  }
  if (const auto address = model::parse_ip_address(request.name)) {
    resolution.outcome = Resolution::Outcome::answered;
    resolution.addresses = {*address};
    resolution.ttl = std::chrono::seconds{options.ttl_max_s};
    return answer(request, std::move(resolution));
  }
  if (!is_host_name(request.name)) {
    resolution.outcome = Resolution::Outcome::no_such_name;
    resolution.reason = "it is not a host name";
    return answer(request, std::move(resolution));
  }
  if (options.servers.empty() && !options.hosts_file.empty()) {
    resolution.addresses = find_in_hosts_file(options.hosts_file, request.name);
    if (!resolution.addresses.empty()) {
      resolution.outcome = Resolution::Outcome::answered;
      resolution.ttl = std::chrono::seconds{options.ttl_min_s};
      return answer(request, std::move(resolution));
    }
  }
  if (channel == nullptr) {
    resolution.reason = "the resolver has no name servers";
    return answer(request, std::move(resolution));
  }
  auto* lookup = new Lookup{this, std::move(request), {}, {}};  // deleted in finish()
  lookup->a = {lookup, kTypeA, {}};
  lookup->aaaa = {lookup, kTypeAaaa, {}};
  ++queries;
  // The first may be answered within its call, so the name must not be taken from the look-up afterwards.
  const std::string name = lookup->request.name;
  Query* second = &lookup->aaaa;
  ares_query(channel, name.c_str(), kClassIn, kTypeA, &State::on_answer, &lookup->a);
  ares_query(channel, name.c_str(), kClassIn, kTypeAaaa, &State::on_answer, second);
}

void AresResolver::State::wait_and_process() {
  std::vector<pollfd> fds{{wake_fd, POLLIN, 0}};
  for (const auto& [socket, events] : sockets) fds.push_back({socket, events, 0});
  int timeout_ms = -1;
  timeval wait{};
  if (channel != nullptr && ares_timeout(channel, nullptr, &wait) != nullptr) {
    // rounded up: waking too early would spin
    timeout_ms = static_cast<int>(std::min<long>(wait.tv_sec, 3600) * 1000 + wait.tv_usec / 1000 + 1);
  }
  const int ready = ::poll(fds.data(), fds.size(), timeout_ms);
  if (ready > 0 && (fds[0].revents & POLLIN) != 0) {
    eventfd_t ignored = 0;
    ::eventfd_read(wake_fd, &ignored);
  }
  if (channel == nullptr) return;
  bool any = false;
  for (std::size_t i = 1; ready > 0 && i < fds.size(); ++i) {
    if (fds[i].revents == 0) continue;
    const bool readable = (fds[i].revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL)) != 0;
    const bool writable = (fds[i].revents & POLLOUT) != 0;
    ares_process_fd(channel, readable ? fds[i].fd : ARES_SOCKET_BAD, writable ? fds[i].fd : ARES_SOCKET_BAD);
    any = true;
  }
  if (!any) ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // time-outs
}

void AresResolver::State::on_socket(void* argument, ares_socket_t socket, int readable, int writable) {
  auto& self = *static_cast<State*>(argument);
  const int events = (readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0);
  if (events == 0) {
    self.sockets.erase(socket);
  } else {
    self.sockets[socket] = static_cast<short>(events);
  }
}

void AresResolver::State::on_answer(void* argument, int status, int /*timeouts*/, unsigned char* bytes, int size) {
  auto* query = static_cast<Query*>(argument);
  query->answer = read_answer(status, bytes, size, query->type);
  if (--query->lookup->open == 0) query->lookup->state->finish(query->lookup);
}

void AresResolver::State::finish(Lookup* finished) {
  using Family = FamilyAnswer::State;
  const std::unique_ptr<Lookup> lookup(finished);
  --queries;
  const FamilyAnswer& a = lookup->a.answer;
  const FamilyAnswer& aaaa = lookup->aaaa.answer;
  const auto either = [&](Family state) { return a.state == state || aaaa.state == state; };
  Resolution resolution{lookup->request.name, Resolution::Outcome::failed, {}, {}, {}};
  resolution.reason = a.reason;
  if (aaaa.reason != a.reason) resolution.reason += (a.reason.empty() || aaaa.reason.empty() ? "" : "; ") + aaaa.reason;
  if (either(Family::found)) {
    resolution.outcome = Resolution::Outcome::answered;
    resolution.addresses = a.addresses;
    resolution.addresses.insert(resolution.addresses.end(), aaaa.addresses.begin(), aaaa.addresses.end());
    std::sort(resolution.addresses.begin(), resolution.addresses.end());
    resolution.addresses.erase(std::unique(resolution.addresses.begin(), resolution.addresses.end()),
                               resolution.addresses.end());
    int ttl_s = a.state == Family::found ? a.ttl_s : aaaa.ttl_s;
    if (aaaa.state == Family::found) ttl_s = std::min(ttl_s, aaaa.ttl_s);
    if (either(Family::failed)) ttl_s = 0;  // half an answer is asked again soon
    resolution.ttl = clamped_ttl(ttl_s);
  } else if (either(Family::no_such_name)) {
    resolution.outcome = Resolution::Outcome::no_such_name;
    resolution.reason = "there is no such name";
  } else if (!either(Family::failed)) {
    resolution.outcome = Resolution::Outcome::no_such_name;
    resolution.reason = "the name has no addresses";
  }
  if (resolution.reason != kStopping) {
    note_health(a.state != Family::failed || aaaa.state != Family::failed, resolution.reason);
  }
  answer(lookup->request, std::move(resolution));
}

void AresResolver::State::answer(Request& request, Resolution resolution) {
  if (!request.over_the_bound) {
    const std::lock_guard lock(mutex);
    --pending;
  }
  if (request.done) request.done(std::move(resolution));
}

// One name without an answer says little about the servers; several in a row do.
void AresResolver::State::note_health(bool heard, const std::string& reason) {
  unanswered = heard ? 0 : unanswered + 1;
  const bool is_down = heard ? false : down || unanswered >= kDownAfter;
  if (is_down == down) return;
  down = is_down;
  if (facts != nullptr) facts->health("RESOLVER_DOWN", "", down, reason);
}

base::Duration AresResolver::State::clamped_ttl(int ttl_s) const {
  const auto ttl = static_cast<std::uint32_t>(std::max(ttl_s, 0));
  return std::chrono::seconds{std::min(std::max(ttl, options.ttl_min_s), options.ttl_max_s)};
}

}  // namespace dots::adapters::resolver
