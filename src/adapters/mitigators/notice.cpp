#include "adapters/mitigators/notice.h"

#include <map>

#include "base/shell_word.h"
#include "base/time_text.h"

namespace dots::adapters::mitigators {
namespace {

constexpr std::size_t kMostItems = 200;

// What clients and configurations chose, as one line of a mail.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

std::string which(const model::RuleOwner& owner) {
  return std::to_string(owner.mid.value) + " --domain " + base::shell_word(owner.domain.value) + " --cuid " +
         base::shell_word(owner.cuid.value);
}

void add_part(std::string& body, const char* title, const std::vector<const NoticeItem*>& items) {
  if (items.empty()) return;
  body += std::string(title) + "\n\n";
  for (std::size_t i = 0; i < items.size() && i < kMostItems; ++i) {
    body += "- " + model::to_string(items[i]->rule) + "\n";
    for (const auto& owner : items[i]->owners) {
      body += "    for mitigation " + std::to_string(owner.owner.mid.value) + " of domain " +
              printable(owner.owner.domain.value) + ": " + printable(owner.reason) +
              (owner.until ? ", until " + base::utc_text(*owner.until) : ", without an end") + "\n";
    }
  }
  if (items.size() > kMostItems)
    body += "- and " + std::to_string(items.size() - kMostItems) + " more: dotsctl explain\n";
  body += "\n";
}

}  // namespace

Notice notice_of(const std::string& back_end, const std::vector<NoticeItem>& items) {
  std::vector<const NoticeItem*> wanted, over;
  std::map<model::RuleOwner, std::size_t> owners;
  for (const NoticeItem& item : items) {
    (item.wanted ? wanted : over).push_back(&item);
    for (const auto& owner : item.owners) {
      if (item.wanted) ++owners[owner.owner];
    }
  }
  Notice out;
  out.subject = "[tidewall " + back_end + "] ";
  if (!wanted.empty()) out.subject += std::to_string(wanted.size()) + (wanted.size() == 1 ? " rule is" : " rules are");
  if (!wanted.empty()) out.subject += " wanted";
  if (!wanted.empty() && !over.empty()) out.subject += ", ";
  if (!over.empty()) out.subject += std::to_string(over.size()) + (over.size() == 1 ? " is over" : " are over");
  add_part(out.body, "Wanted now:", wanted);
  if (!owners.empty()) {
    out.body += "To decide, on the server:\n\n";
    std::size_t shown = 0;
    for (const auto& [owner, rules] : owners) {
      if (++shown > kMostItems) break;
      out.body += "    dotsctl approve " + which(owner) + " --note TEXT\n    dotsctl refuse " + which(owner) +
                  " --reason TEXT\n";
    }
    out.body += "\n";
  }
  add_part(out.body, "Over, and to be taken away if it was put in by hand:", over);
  return out;
}

std::string mail_of(const Notice& notice, const std::string& from, const std::vector<std::string>& to) {
  std::string all;
  for (const std::string& one : to) all += (all.empty() ? "" : ", ") + one;
  return "From: " + from + "\nTo: " + all + "\nSubject: " + notice.subject +
         "\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
         "Auto-Submitted: auto-generated\n\n" +
         notice.body;
}

}  // namespace dots::adapters::mitigators
