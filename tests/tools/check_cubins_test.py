"""The checks of check_cubins.py on recorded shapes of cuobjdump's answer."""

import check_cubins

ANSWER = """
Fatbin elf code:
================
arch = sm_90a
code version = [1,8]

Resource usage:
 Common:
  GLOBAL:0
 Function _ZN2_GLOBAL__N__1234abcd_7_rope_cu_4rope:
  REG:32 STACK:{stack} SHARED:{shared} LOCAL:0 CONSTANT[0]:600 TEXTURE:0 SURFACE:0 SAMPLER:0

arch = {second}
Resource usage:
 Function _ZN2_GLOBAL__N__9876fedc_7_rope_cu_4rope:
  REG:40 STACK:0 SHARED:1024 LOCAL:0 CONSTANT[0]:600 TEXTURE:0 SURFACE:0 SAMPLER:0
"""


def faults_of(stack=0, shared=1024, second="sm_120f"):
    kernels = check_cubins.read_usage(ANSWER.format(stack=stack, shared=shared, second=second))
    return list(check_cubins.faults(kernels, ["sm_90a", "sm_120f"]))


def test_two_targets_without_local_memory_pass():
    assert faults_of() == []


def test_a_missing_target_is_named_with_its_kernels():
    assert faults_of(second="sm_100") == ["sm_120f: no _ZN2_GLOBAL__N__7_rope_cu_4rope"]


def test_local_memory_and_too_much_shared_memory_are_faults():
    assert "200 bytes in local memory" in faults_of(stack=200)[0]
    assert "102400 bytes of shared memory" in faults_of(shared=102400)[0]


def test_no_kernel_at_all_is_a_fault():
    assert list(check_cubins.faults({}, ["sm_90a"])) == ["no kernel for any of sm_90a; there is code for: nothing"]
