# A formula of Homebrew (https://docs.brew.sh/Formula-Cookbook), by scripts/release, for a tap.
class Ksecret < Formula
  desc "Encrypts only the values of Kubernetes Secret manifests"
  homepage "$home"
  url "$home/releases/download/v$version/$sdist"
  sha256 "$sdist_sha256"
  license "Apache-2.0"

  depends_on "python@3.13"

  def install
    system Formula["python@3.13"].opt_bin/"python3.13", "-m", "venv", libexec
    pip = [libexec/"bin/python", "-m", "pip", "install", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    system(*pip, "--requirement", "deploy/requirements-pyz.txt")
    system(*pip, "--requirement", "deploy/requirements-build.txt", "--target", buildpath/"build-tools")
    with_env(PYTHONPATH: buildpath/"build-tools") do
      system libexec/"bin/python", "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "."
    end
    bin.install_symlink Dir[libexec/"bin/*ksecret*"]
    man1.install_symlink Dir[libexec/"share/man/man1/*"]
    man5.install_symlink Dir[libexec/"share/man/man5/*"]
    bash_completion.install_symlink Dir[libexec/"share/bash-completion/completions/*"]
    zsh_completion.install_symlink Dir[libexec/"share/zsh/site-functions/*"]
    fish_completion.install_symlink Dir[libexec/"share/fish/vendor_completions.d/*"]
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/ksecret --version")
  end
end
