#include "adapters/net/ticket_cache.h"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace dots::adapters::net {
namespace {

constexpr char kHeader[] = "tidewall-tickets 1";
constexpr std::size_t kLargestSessionBytes = 64 * 1024;

}  // namespace

TicketCache::TicketCache(const std::string& text, Save save) : save_(std::move(save)) {
  std::istringstream lines{text};
  std::string line;
  if (!std::getline(lines, line) || line != kHeader) return;
  while (entries_.size() < kMostTickets && std::getline(lines, line)) {
    std::istringstream words{line};
    std::string kind, received, key, session;
    words >> kind >> received >> key >> session;
    std::uint64_t at_s = 0;
    const auto parsed = std::from_chars(received.data(), received.data() + received.size(), at_s);
    const auto name = base::from_hex(key);
    auto bytes = base::from_hex(session);
    if (kind != "ticket" || parsed.ec != std::errc{} || !name || name->empty() || !bytes || bytes->empty()) continue;
    entries_[std::string{base::as_text(*name)}] = {std::move(*bytes), base::from_unix_seconds(at_s), false, 0};
  }
}

std::optional<TicketCache::Offer> TicketCache::offer(const std::string& key, base::WallTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  if (now - found->second.received > kLongestLife) {
    entries_.erase(found);
    save();
    return std::nullopt;
  }
  if (found->second.skip) {
    found->second.skip = false;
    return std::nullopt;
  }
  return Offer{found->second.session, found->second.turn};
}

void TicketCache::put(const std::string& key, base::Bytes session, base::WallTime now) {
  if (session.empty() || session.size() > kLargestSessionBytes) return;
  const std::lock_guard lock(mutex_);
  if (!entries_.contains(key) && entries_.size() >= kMostTickets) {
    entries_.erase(std::ranges::min_element(
        entries_, [](const auto& a, const auto& b) { return a.second.received < b.second.received; }));
  }
  entries_[key] = {std::move(session), now, false, ++turns_};
  save();
}

void TicketCache::served(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found != entries_.end()) found->second.turn = ++turns_;
}

void TicketCache::in_vain(const std::string& key, std::uint64_t turn) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found != entries_.end() && found->second.turn == turn) found->second.skip = true;
}

void TicketCache::forget(const std::string& key) {
  const std::lock_guard lock(mutex_);
  if (entries_.erase(key) > 0) save();
}

std::size_t TicketCache::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void TicketCache::save() const {
  if (!save_) return;
  std::string text = std::string{kHeader} + "\n";
  for (const auto& [key, entry] : entries_) {
    text += "ticket " + std::to_string(base::unix_seconds(entry.received)) + " " + base::to_hex(base::as_bytes(key)) +
            " " + base::to_hex(entry.session) + "\n";
  }
  save_(std::move(text));
}

}  // namespace dots::adapters::net
