"""Parameters of published MDX-Net files that the files themselves do not state, by a hash of the file.

Source: ``mdx_model_data/model_data_new.json`` of TRvlvr/application_data.
"""

from typing import NamedTuple

__all__ = ["PUBLISHED", "Parameters"]


class Parameters(NamedTuple):
    """Parameters of a net.

    Attributes:
        name: Name of the file.
        num_fft: Length of the Fourier transform in samples.
        log_frames: Number of frames in a chunk, as an exponent of two.
        compensate: Gain applied to the estimate.
        target: The target.
    """

    name: str
    num_fft: int
    log_frames: int
    compensate: float
    target: str


PUBLISHED = {
    "291c2049608edb52648b96e27eb80e95": Parameters("UVR-MDX-NET-Inst_HQ_1", 6144, 8, 1.035, "instrumental"),
    "cc63408db3d80b4d85b0287d1d7c9632": Parameters("UVR-MDX-NET-Inst_HQ_2", 6144, 8, 1.033, "instrumental"),
    "55657dd70583b0fedfba5f67df11d711": Parameters("UVR-MDX-NET-Inst_HQ_3", 6144, 8, 1.022, "instrumental"),
    "0f2a6bc5b49d87d64728ee40e23bceb1": Parameters("UVR-MDX-NET-Inst_HQ_4", 5120, 8, 1.019, "instrumental"),
    "cb790d0c913647ced70fc6b38f5bea1a": Parameters("UVR-MDX-NET-Inst_HQ_5", 5120, 8, 1.010, "instrumental"),
    "73492b58195c3b52d34590d5474452f6": Parameters("Kim_Vocal_1", 7680, 8, 1.043, "vocals"),
    "970b3f9492014d18fefeedfe4773cb42": Parameters("Kim_Vocal_2", 7680, 8, 1.009, "vocals"),
    "b6bccda408a436db8500083ef3491e8b": Parameters("Kim_Inst", 7680, 8, 1.02, "instrumental"),
    "77d07b2667ddf05b9e3175941b4454a0": Parameters("UVR-MDX-NET-Voc_FT", 7680, 8, 1.021, "vocals"),
    "53c4baf4d12c3e6c3831bb8f5b532b93": Parameters("UVR_MDXNET_Main", 7680, 8, 1.043, "vocals"),
    "1d64a6d2c30f709b8c9b4ce1366d96ee": Parameters("UVR_MDXNET_KARA_2", 5120, 8, 1.065, "instrumental"),
    "1c56ec0224f1d559c42fd6fd2a67b154": Parameters("UVR-MDX-NET-Inst_Main", 5120, 8, 1.025, "instrumental"),
    "cd5b2989ad863f116c855db1dfe24e39": Parameters("Reverb_HQ_By_FoxJoy", 6144, 9, 1.035, "reverb"),
    "b02be2d198d4968a121030cf8950b492": Parameters("UVR-MDX-NET_Crowd_HQ_1", 5120, 8, 1.02, "crowd"),
}
"""Parameters by MD5 of the last 10,240,000 bytes of the file, or of the entire file if it is smaller."""
