// Words of the page /quality.

export const quality = {
  title: "Quality",
};
