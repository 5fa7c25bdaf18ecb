/**
 * Installs by a lock file, into a layer that is kept: as npm's buildpacks do, with a line of the log that says whether
 * anything was installed.
 */
export const cachingBuildpack = {
  id: "test/caching",
  detect: "test -f package-lock.json",
  build: `
layer="$CNB_LAYERS_DIR/deps"
if [ -f "$layer/lock" ] && [ "$(cat "$layer/lock")" = "$(cat package-lock.json)" ]; then
  echo "the dependencies are there: $(cat "$layer/deps.txt")"
else
  echo "installing the dependencies"
  mkdir -p "$layer"
  cp package-lock.json "$layer/lock"
  echo "honest" > "$layer/deps.txt"
  [ ! -f vendor.bin ] || cp vendor.bin "$layer/"
fi
printf '[types]\\nlaunch = true\\nbuild = true\\ncache = true\\n' > "$CNB_LAYERS_DIR/deps.toml"
printf '[[processes]]\\ntype = "web"\\ncommand = ["cat", "app.txt"]\\ndefault = true\\n' > "$CNB_LAYERS_DIR/launch.toml"`,
};

export const installing = "installing the dependencies";
export const reusing = "the dependencies are there: honest";
