#include "adapters/resolver/hosts_file.h"

#include <algorithm>
#include <fstream>

namespace dots::adapters::resolver {
namespace {

constexpr std::size_t kMaxBytes = 1u << 20;

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

// Takes the next word off the line; empty at its end.
std::string_view next_word(std::string_view& line) {
  constexpr std::string_view kBlank = " \t\r\v\f";
  const auto start = line.find_first_not_of(kBlank);
  if (start == std::string_view::npos) return line = {};
  line.remove_prefix(start);
  const auto end = std::min(line.find_first_of(kBlank), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

}  // namespace

std::vector<model::IpAddress> find_in_hosts(std::string_view text, std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::vector<model::IpAddress> found;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, std::min(end, text.find('#')));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view address_text = next_word(line);
    for (auto word = next_word(line); !word.empty(); word = next_word(line)) {
      if (!same_name(word, name)) continue;
      if (const auto address = model::parse_ip_address(address_text)) found.push_back(*address);
      break;
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::vector<model::IpAddress> find_in_hosts_file(const std::string& path, std::string_view name) {
  std::ifstream in(path, std::ios::binary);
  std::string text(kMaxBytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return find_in_hosts(text, name);
}

}  // namespace dots::adapters::resolver
