#include "adapters/net/ticket_keys.h"

#include <gnutls/crypto.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <map>
#include <mutex>
#include <sstream>

#include "adapters/net/digest.h"
#include "adapters/net/ticket_set.h"

namespace dots::adapters::net {
namespace {

constexpr char kHeader[] = "tidewall-ticket-keys 1";
constexpr std::size_t kMostNames = 4;

// What the file says of a PSK: enough to see that it is another key than before, and nothing more.
struct Binding {
  base::Bytes salt;
  std::map<base::Bytes, base::Bytes> marks;  // of the identity -> of the identity with its key
};

base::Bytes mark(const base::Bytes& salt, const Psk& psk, bool with_key) {
  base::Bytes text{psk.identity.begin(), psk.identity.end()};
  if (with_key) {
    text.push_back(0);
    text.insert(text.end(), psk.key.begin(), psk.key.end());
  }
  base::Bytes out(32);
  gnutls_hmac_fast(GNUTLS_MAC_SHA256, salt.data(), salt.size(), text.data(), text.size(), out.data());
  return out;
}

std::map<base::Bytes, base::Bytes> marks_of(const base::Bytes& salt, const std::vector<Psk>& psk) {
  std::map<base::Bytes, base::Bytes> marks;
  for (const Psk& one : psk) marks[mark(salt, one, false)] = mark(salt, one, true);
  return marks;
}

bool changed(const std::map<base::Bytes, base::Bytes>& then, const std::map<base::Bytes, base::Bytes>& now) {
  return std::ranges::any_of(then, [&](const auto& entry) {
    const auto found = now.find(entry.first);
    return found != now.end() && found->second != entry.second;
  });
}

struct Kept {
  std::vector<TicketKey> keys;  // newest first
  Binding binding;
};

std::optional<Kept> parse(const std::string& text) {
  std::istringstream lines{text};
  std::string line;
  if (!std::getline(lines, line) || line != kHeader) return std::nullopt;
  Kept kept;
  while (std::getline(lines, line)) {
    std::istringstream words{line};
    std::string kind, first, second, name;
    words >> kind >> first;
    if (kind == "key") {
      TicketKey key;
      std::uint64_t made_s = 0;
      const auto parsed = std::from_chars(first.data(), first.data() + first.size(), made_s);
      words >> second;
      const auto secret = base::from_hex(second);
      if (parsed.ec != std::errc{} || !secret || secret->size() != kTicketKeyBytes) return std::nullopt;
      key.made = base::from_unix_seconds(made_s);
      key.secret = *secret;
      while (words >> name) {
        const auto bytes = base::from_hex(name);
        if (!bytes || bytes->size() != kTicketNameBytes) return std::nullopt;
        key.names.push_back(*bytes);
      }
      kept.keys.push_back(std::move(key));
    } else if (kind == "salt") {
      const auto salt = base::from_hex(first);
      if (!salt || salt->size() != 32) return std::nullopt;
      kept.binding.salt = *salt;
    } else if (kind == "psk") {
      words >> second;
      const auto identity = base::from_hex(first);
      const auto key = base::from_hex(second);
      if (!identity || !key) return std::nullopt;
      kept.binding.marks[*identity] = *key;
    } else if (!kind.empty()) {
      return std::nullopt;
    }
  }
  if (kept.keys.empty() || kept.keys.size() > 2 || kept.binding.salt.empty()) return std::nullopt;
  return kept;
}

}  // namespace

struct TicketKeys::State {
  mutable std::mutex mutex;  // guards set and binding; held for a copy, and while a key changes
  std::shared_ptr<const Set> set;
  Binding binding;
  base::Duration period{};
  Save save;

  static std::string text(const Set& set, const Binding& binding) {
    std::string out = std::string{kHeader} + "\n";
    const auto add = [&](const TicketKey& key) {
      out += "key " + std::to_string(base::unix_seconds(key.made)) + " " + base::to_hex(key.secret);
      for (const auto& name : key.names) out += " " + base::to_hex(name);
      out += "\n";
    };
    add(set.key);
    if (set.before) add(*set.before);
    out += "salt " + base::to_hex(binding.salt) + "\n";
    for (const auto& [identity, key] : binding.marks) {
      out += "psk " + base::to_hex(identity) + " " + base::to_hex(key) + "\n";
    }
    return out;
  }

  base::Result<TicketKey> fresh(base::WallTime now) const {
    auto secret = random_bytes(kTicketKeyBytes);
    if (!secret) return secret.error();
    return TicketKey{now, std::move(*secret), {}};
  }

  // Notes the name that the key has now. True: it is a new one.
  base::Result<bool> learn(TicketKey& key) const {
    auto name = ticket_name(key.secret, period);
    if (!name) return name.error();
    if (std::ranges::find(key.names, *name) != key.names.end()) return false;
    key.names.push_back(std::move(*name));
    if (key.names.size() > kMostNames) key.names.erase(key.names.begin());
    return true;
  }

  base::Result<void> adopt(Set next, Binding with) {
    if (save) {
      if (auto saved = save(text(next, with)); !saved) return saved;
    }
    set = std::make_shared<const Set>(std::move(next));
    binding = std::move(with);
    return {};
  }

  // What must go goes from memory also when the file cannot be written; the file's binding then tells the next start.
  base::Result<void> start_anew(const std::vector<Psk>& psk, base::WallTime now) {
    auto salt = random_bytes(32);
    if (!salt) return salt.error();
    auto key = fresh(now);
    if (!key) return key.error();
    if (auto learned = learn(*key); !learned) return learned.error();
    Binding with{std::move(*salt), {}};
    with.marks = marks_of(with.salt, psk);
    set = std::make_shared<const Set>(Set{std::move(*key), std::nullopt, period});
    binding = with;
    return adopt(*set, std::move(with));
  }

  base::Result<bool> turn(base::WallTime now) {
    Set next = *set;
    // A key from the future was made by a clock that was wrong: it would never grow old.
    const bool due = now - next.key.made >= period || next.key.made - now > period;
    const auto learned = learn(next.key);
    if (!learned) return learned.error();
    if (due) {
      auto key = fresh(now);
      if (!key) return key.error();
      if (auto named = learn(*key); !named) return named.error();
      // After a long stop whatever it sealed is too old.
      const bool of_use = next.key.made <= now && now - next.key.made < 2 * period;
      next.before = of_use ? std::optional{std::move(next.key)} : std::nullopt;
      next.key = std::move(*key);
    }
    if (!due && !*learned) return false;
    if (auto done = adopt(std::move(next), binding); !done) return done.error();
    return due;
  }
};

TicketKeys::TicketKeys() : state_(std::make_unique<State>()) {}
TicketKeys::~TicketKeys() = default;

base::Result<std::shared_ptr<TicketKeys>> TicketKeys::open(const std::string& text, const std::vector<Psk>& psk,
                                                           base::Duration period, base::WallTime now, Save save) {
  assert(period > base::Duration::zero() && period <= kLongestPeriod);
  std::shared_ptr<TicketKeys> keys{new TicketKeys};
  State& s = *keys->state_;
  s.period = period;
  s.save = std::move(save);
  auto kept = parse(text);
  // What cannot be read is worth nothing: clients without a good ticket make a full handshake.
  if (!kept || changed(kept->binding.marks, marks_of(kept->binding.salt, psk))) {
    if (auto started = s.start_anew(psk, now); !started) return started.error();
    return keys;
  }
  Set set{std::move(kept->keys[0]), std::nullopt, period};
  if (kept->keys.size() > 1) set.before = std::move(kept->keys[1]);
  s.set = std::make_shared<const Set>(std::move(set));
  s.binding = std::move(kept->binding);
  auto marks = marks_of(s.binding.salt, psk);
  if (marks != s.binding.marks) {
    if (auto done = s.adopt(*s.set, Binding{s.binding.salt, std::move(marks)}); !done) return done.error();
  }
  if (auto turned = s.turn(now); !turned) return turned.error();
  return keys;
}

base::Result<bool> TicketKeys::turn(base::WallTime now) {
  const std::lock_guard lock(state_->mutex);
  return state_->turn(now);
}

base::Result<bool> TicketKeys::rebind(const std::vector<Psk>& psk, base::WallTime now) {
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  auto marks = marks_of(s.binding.salt, psk);
  if (marks == s.binding.marks) return false;
  if (changed(s.binding.marks, marks)) {
    if (auto started = s.start_anew(psk, now); !started) return started.error();
    return true;
  }
  if (auto done = s.adopt(*s.set, Binding{s.binding.salt, std::move(marks)}); !done) return done.error();
  return false;
}

base::Duration TicketKeys::period() const { return state_->period; }

std::shared_ptr<const TicketKeys::Set> TicketKeys::current() const {
  const std::lock_guard lock(state_->mutex);
  return state_->set;
}

}  // namespace dots::adapters::net
