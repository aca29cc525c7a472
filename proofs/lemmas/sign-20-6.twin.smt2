; Twin of sign-20-6: the band is taken to end one earlier, at v mod 2^19 < 62, and there the bit can
; be wrong.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: sat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 64))
(declare-fun x2 () (_ BitVec 64))
(declare-fun x3 () (_ BitVec 64))
(define-fun v () (_ BitVec 64) (bvadd x1 x2 x3))
; role 1 knows m, roles 2 and 3 know n
(define-fun sum12 () (_ BitVec 64) (bvadd x1 x2))
(define-fun m () (_ BitVec 14) ((_ extract 19 6) sum12))
(define-fun n () (_ BitVec 14) ((_ extract 19 6) x3))
; generate and propagate of every chunk
(define-fun g0_0 () (_ BitVec 1) ((_ extract 4 4) (bvadd ((_ zero_extend 1) ((_ extract 3 0) m)) ((_ zero_extend 1) ((_ extract 3 0) n)))))
(define-fun g0_1 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 6 4) m)) ((_ zero_extend 1) ((_ extract 6 4) n)))))
(define-fun p0_1 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 6 4) m) ((_ extract 6 4) n)) (_ bv7 3)))
(define-fun g0_2 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 9 7) m)) ((_ zero_extend 1) ((_ extract 9 7) n)))))
(define-fun p0_2 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 9 7) m) ((_ extract 9 7) n)) (_ bv7 3)))
(define-fun g0_3 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 12 10) m)) ((_ zero_extend 1) ((_ extract 12 10) n)))))
(define-fun p0_3 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 12 10) m) ((_ extract 12 10) n)) (_ bv7 3)))
; joined in pairs
(define-fun g1_0 () (_ BitVec 1) (bvxor g0_1 (bvand p0_1 g0_0)))
(define-fun g1_1 () (_ BitVec 1) (bvxor g0_3 (bvand p0_3 g0_2)))
(define-fun p1_1 () (_ BitVec 1) (bvand p0_3 p0_2))
; joined in pairs
(define-fun g2_0 () (_ BitVec 1) (bvxor g1_1 (bvand p1_1 g1_0)))
(define-fun bit () (_ BitVec 1) (bvxor g2_0 ((_ extract 13 13) m) ((_ extract 13 13) n)))
; v less the low bits that are ignored, operand by operand
(define-fun ignored () (_ BitVec 64) (bvadd ((_ zero_extend 58) ((_ extract 5 0) sum12)) ((_ zero_extend 58) ((_ extract 5 0) x3))))
(define-fun seen () (_ BitVec 64) (bvsub v ignored))
(assert (or (distinct bit ((_ extract 19 19) seen)) (bvugt ignored (_ bv126 64)) (distinct ((_ extract 5 0) seen) (_ bv0 6)) (and (bvuge ((_ extract 18 0) v) (_ bv62 19)) (distinct bit ((_ extract 19 19) v))) (and (bvuge ((_ extract 18 0) v) (_ bv62 19)) (bvsge v (_ bv18446744073709027328 64)) (bvslt v (_ bv524288 64)) (distinct bit ((_ extract 63 63) v)))))
(check-sat)
