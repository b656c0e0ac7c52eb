"""The files that describe the package agree."""

import pathlib
import re
import tomllib

import rum_jax

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']


def test_the_version_is_one():
  citation = (ROOT / 'CITATION.cff').read_text()
  assert re.search(r'^version: (.*)', citation, re.M)[1] == rum_jax.__version__
  changes = (ROOT / 'CHANGELOG.md').read_text()
  released = re.findall(r'^## \[([\d.]+)\]', changes, re.M)
  assert released[0] == rum_jax.__version__
  assert PROJECT['dynamic'] == ['version']


def test_the_repository_has_one_address():
  source = PROJECT['urls']['Source']
  hosted = re.compile(r'https://(?:github\.com|colab\.research\.google\.com/'
                      r'github)/[-\w]+/rum_jax')
  for path in (*ROOT.glob('*.md'), *ROOT.glob('*.cff'), *ROOT.glob('docs/**/*'),
               ROOT / 'pyproject.toml', *ROOT.glob('colabs/*.ipynb')):
    if path.suffix in ('.md', '.cff', '.toml', '.py', '.ipynb'):
      for found in hosted.findall(path.read_text()):
        assert found.split('/')[-2:] == source.split('/')[-2:], (path, found)


def test_no_release_of_jax_is_ruled_out_from_above():
  capped = [x for x in PROJECT['dependencies'] if re.search(r'<|==|~=', x)]
  assert not capped


def test_all_means_every_extra_but_those_of_devices():
  extras = PROJECT['optional-dependencies']
  named, = extras['all']
  listed = re.search(r'\[(.*)\]', named)[1].split(',')
  assert {*listed} == {*extras} - {'all', 'cuda', 'tpu'}
