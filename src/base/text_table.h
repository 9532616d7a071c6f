// Aligned columns of text for the terminal, and numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mfa {

// Rows of cells under a header. Width is counted in code points, so that cells may hold UTF-8 such as ± or –.
class TextTable {
 public:
  enum class Align { left, right };

  void add_column(std::string title, Align align = Align::right);
  void add_row(std::vector<std::string> cells);  // as many cells as columns; fewer are filled with empty ones

  // Lines that end in '\n': header, a rule, then the rows. Two spaces between columns, none at a line's end.
  std::string render() const;

 private:
  struct Column {
    std::string title;
    Align align;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "163,840": every digit, grouped by three.
std::string grouped(int64_t value);

// Three significant digits with a decimal suffix (K = 1,000): "951", "164K", "1.20M", "45.3G". Not finite: "–".
std::string human_number(double value);

}  // namespace mfa
