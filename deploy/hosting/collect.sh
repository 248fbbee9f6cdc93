#!/bin/sh
# Put what a host needs into one folder: sh deploy/hosting/collect.sh outputs/full FOLDER
# The current model, the code that serves, and the hosts' files. Run again after a training; then commit and push FOLDER.
set -eu
run=$1 folder=$2 here=$(dirname "$0")
version=$(cat "$run/model/CURRENT")
mkdir -p "$folder"
rm -rf "$folder/serving" "$folder/model"
mkdir "$folder/model"
cp -R "$run/model/$version" "$folder/model/"
echo "$version" > "$folder/model/CURRENT"
cp -R "$here/../../serving" "$folder/serving"
find "$folder/serving" -name __pycache__ -prune -exec rm -rf {} +
cp "$here/model.Dockerfile" "$folder/Dockerfile"
cp "$here/render.yaml" "$here/fly.toml" "$folder/"
cp "$here/space.md" "$folder/README.md"
echo "$folder holds $version: $(du -sk "$folder" | cut -f1) kB"
