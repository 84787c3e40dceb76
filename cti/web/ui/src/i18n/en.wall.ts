// Words of the page /wall.

export const wall = {
  title: "Wall",
};
