// A decoded message as a flat tree: what a peer said, attribute by attribute, before it becomes a noun.
//
// Items stand in the order of the message, a parent before its members. Texts are views: into the bytes that were
// decoded (which the caller keeps alive) or into the document itself (keep()).
#pragma once

#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <string>
#include <string_view>
#include <vector>

#include "model/attributes.h"
#include "model/shapes.h"

namespace dots::model {

enum class ItemKind : std::uint8_t {
  map,    // a container, or one entry of a list
  array,  // a list or a leaf-list
  unsigned_integer,
  negative_integer,  // value is -1 - number
  text,
  boolean,  // number is 0 or 1
  decimal,  // number is in hundredths
};

struct Item {
  const Attribute* attribute = nullptr;  // null for the message itself; entries of an array have the array's
  std::uint32_t parent = 0;              // index; the message (index 0) is its own parent
  std::uint32_t end = 0;                 // index after the last descendant
  ItemKind kind = ItemKind::map;
  std::uint64_t number = 0;
  std::string_view text;
};

class Document {
 public:
  static constexpr std::uint32_t kRoot = 0;

  // Starts with the message itself, an empty map. Room for the usual message, so that building it allocates once.
  Document();
  Document(Document&&) = default;
  Document& operator=(Document&&) = default;
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  const std::vector<Item>& items() const { return items_; }
  const Item& operator[](std::uint32_t index) const { return items_[index]; }

  // Direct members of an item: for (auto i = d.first(at); i != d.end_of(at); i = d.next(i)).
  std::uint32_t first(std::uint32_t at) const { return at + 1; }
  std::uint32_t end_of(std::uint32_t at) const { return items_[at].end; }
  std::uint32_t next(std::uint32_t at) const { return items_[at].end; }
  // The member of a map with this key; kRoot when there is none.
  std::uint32_t member(std::uint32_t map, Key key) const;

  // Building. `open` starts a map or an array below `parent`, whose last item it becomes; `close` ends it.
  // REQUIRES: `parent` is open and nothing inside it is.
  std::uint32_t open(std::uint32_t parent, const Attribute& attribute, ItemKind kind);
  void close(std::uint32_t at) { items_[at].end = size(); }
  void add(std::uint32_t parent, const Attribute& attribute, ItemKind kind, std::uint64_t number);
  void add_text(std::uint32_t parent, const Attribute& attribute, std::string_view text);
  // Ends the message. Call once, last.
  void finish() { close(kRoot); }
  void set_number(std::uint32_t at, std::uint64_t number) { items_[at].number = number; }

  // Makes the document own a text; the view lives as long as the document (also when it is moved).
  std::string_view keep(std::string text);

 private:
  std::uint32_t size() const { return static_cast<std::uint32_t>(items_.size()); }

  std::vector<Item> items_;
  std::forward_list<std::string> texts_;
};

// The same attributes with the same values; the order of members does not matter, that of entries does.
bool same_content(const Document& a, const Document& b);

}  // namespace dots::model
