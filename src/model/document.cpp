#include "model/document.h"

#include <algorithm>

namespace dots::model {
namespace {

constexpr std::size_t kUsualItems = 32;

bool same_item(const Document& a, std::uint32_t at_a, const Document& b, std::uint32_t at_b) {
  const Item& x = a[at_a];
  const Item& y = b[at_b];
  if (x.attribute != y.attribute || x.kind != y.kind) return false;
  if (x.kind == ItemKind::text) return x.text == y.text;
  if (x.kind != ItemKind::map && x.kind != ItemKind::array) return x.number == y.number;
  std::vector<std::uint32_t> members_a;
  std::vector<std::uint32_t> members_b;
  for (auto i = a.first(at_a); i != a.end_of(at_a); i = a.next(i)) members_a.push_back(i);
  for (auto i = b.first(at_b); i != b.end_of(at_b); i = b.next(i)) members_b.push_back(i);
  if (x.kind == ItemKind::map) {
    const auto by_key = [](const Document& d) {
      return [&d](std::uint32_t i, std::uint32_t j) { return d[i].attribute->key < d[j].attribute->key; };
    };
    std::sort(members_a.begin(), members_a.end(), by_key(a));
    std::sort(members_b.begin(), members_b.end(), by_key(b));
  }
  return std::equal(members_a.begin(), members_a.end(), members_b.begin(), members_b.end(),
                    [&](std::uint32_t i, std::uint32_t j) { return same_item(a, i, b, j); });
}

}  // namespace

Document::Document() {
  items_.reserve(kUsualItems);
  items_.emplace_back();
}

std::uint32_t Document::member(std::uint32_t map, Key key) const {
  for (auto i = first(map); i != end_of(map); i = next(i)) {
    if (items_[i].attribute->key == key) return i;
  }
  return kRoot;
}

std::uint32_t Document::open(std::uint32_t parent, const Attribute& attribute, ItemKind kind) {
  const std::uint32_t at = size();
  items_.push_back({&attribute, parent, at + 1, kind, 0, {}});
  return at;
}

void Document::add(std::uint32_t parent, const Attribute& attribute, ItemKind kind, std::uint64_t number) {
  items_.push_back({&attribute, parent, size() + 1, kind, number, {}});
}

void Document::add_text(std::uint32_t parent, const Attribute& attribute, std::string_view text) {
  items_.push_back({&attribute, parent, size() + 1, ItemKind::text, 0, text});
}

std::string_view Document::keep(std::string text) { return texts_.emplace_front(std::move(text)); }

bool same_content(const Document& a, const Document& b) { return same_item(a, Document::kRoot, b, Document::kRoot); }

}  // namespace dots::model
